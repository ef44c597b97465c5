package blocks

import (
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// PathError says what is wrong with a CID or a path that somebody gave, and where.
type PathError struct {
	Path   string
	Offset int // bytes into Path
	Reason string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("bad path %q at character %d: %s", e.Path, e.Offset+1, e.Reason)
}

// MissError says that nobody who was asked has a block. [IsNotFound] holds for it.
type MissError struct {
	CID   cid.Cid
	Asked int       // peers
	Peers []peer.ID // the first of those, [MissPeers] at most
}

// MissPeers is how many of those who were asked a [MissError] names.
const MissPeers = 20

func (e *MissError) Error() string {
	return fmt.Sprintf("%s not found: asked %d peers, none has it", e.CID, e.Asked)
}

func (e *MissError) Unwrap() error { return NotFound(e.CID) }
