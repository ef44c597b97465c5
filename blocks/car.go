package blocks

import (
	"fmt"

	"github.com/ipfs/boxo/verifcid"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Sum makes the block of data of a codec under a hash function, as multihash numbers it. It
// answers [ErrUnfit] for one that proves nothing or is not known, and for more than [MaxSize].
func Sum(codec, function uint64, data []byte) (Block, error) {
	if function == mh.IDENTITY || !verifcid.DefaultAllowlist.IsAllowed(function) {
		return Block{}, fmt.Errorf("%w: hash function %#x", ErrUnfit, function)
	}
	if len(data) > MaxSize {
		return Block{}, fmt.Errorf("%w: %d bytes, limit %d", ErrUnfit, len(data), MaxSize)
	}
	c, err := cid.V1Builder{Codec: codec, MhType: function}.Sum(data)
	if err != nil {
		return Block{}, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	return Block{c, data}, nil
}

// ImportOptions is what an import of blocks may be asked for.
type ImportOptions struct {
	PutOptions      // of each root; Name and Profile mean nothing for more than one
	NoPin      bool // keep the blocks as what was merely read: no root is pinned or placed
}

// Imported says what an import achieved.
type Imported struct {
	Blocks int       // distinct ones that came
	Bytes  int64     // of those
	Loose  int       // of Blocks: no root that is kept leads to them, they stay as what was merely read
	Roots  []Receipt // of each root that is kept
	Took   Seconds
}

// DAGStat is how much is under a root.
type DAGStat struct {
	Root   cid.Cid
	Blocks int   // distinct CIDs
	Bytes  int64 // of their blocks
}

// BlockStat is what is known of one block.
type BlockStat struct {
	CID  cid.Cid
	Size int64
}

// CARError says what is wrong with a CAR, and where.
type CARError struct {
	Offset int64 // bytes into it, where the part begins that is wrong
	Err    error
}

func (e *CARError) Error() string { return fmt.Sprintf("bad CAR at byte %d: %s", e.Offset, e.Err) }
func (e *CARError) Unwrap() error { return e.Err }

// GapError says that what is under a root is not whole here. [IsNotFound] holds for it.
type GapError struct{ Root, Missing cid.Cid }

func (e *GapError) Error() string {
	return fmt.Sprintf("%s is not whole: block %s came neither with it nor is it here", e.Root, e.Missing)
}

func (e *GapError) Unwrap() error { return NotFound(e.Missing) }
