package blocks

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Getter gives the block that a CID names, checked. There are three outcomes:
// the block; an error for which [IsNotFound] holds when nobody has it; any other
// error when that could not be found out.
type Getter interface {
	Get(ctx context.Context, c cid.Cid) (Block, error)
}

// Store is the blocks of one peer, keyed by multihash: one block has one record
// whatever the version and codec of the CID that asks for it. Every method may be
// called by many goroutines at once.
type Store interface {
	Getter // of what is here; never asks the network

	// Put keeps blocks. When it returns nil every one of them survives a crash
	// and a power cut; after an error any subset of them may be there. A block
	// that is there already costs nothing.
	Put(ctx context.Context, bs ...Block) error

	// View lends the checked bytes of the block h to f for the time of the call:
	// f must neither keep nor change them. It answers NotFound, the reason the
	// bytes could not be read, or what f answers.
	View(ctx context.Context, h mh.Multihash, f func(data []byte) error) error

	Has(ctx context.Context, h mh.Multihash) (bool, error)

	// Size is the length of the block h in bytes, or NotFound.
	Size(ctx context.Context, h mh.Multihash) (int, error)

	// Delete forgets blocks; forgetting what is not there is no error.
	Delete(ctx context.Context, hs ...mh.Multihash) error

	// All yields each key once, in byte order, and stops at the first error.
	// Blocks put or deleted meanwhile may or may not be among them.
	All(ctx context.Context) iter.Seq2[mh.Multihash, error]
}

// Ledger says why this peer keeps a block: under which leases, below which
// pinned root. A block in no entry was merely read, and may be forgotten. It is
// as durable as the Store beside it: nil means on the disk.
type Ledger interface {
	// Hold enters blocks under l. Holding again is no error.
	Hold(ctx context.Context, l Lease, hs ...mh.Multihash) error

	// Release ends that blocks are held under the lease id. The lease is remembered, so
	// that an older one never takes its place. What is not held so is no error.
	Release(ctx context.Context, id LeaseID, hs ...mh.Multihash) error

	// Lease gives the lease id as it is known here, whatever is held under it; false: it is not.
	Lease(ctx context.Context, id LeaseID) (Lease, bool, error)

	// Leases gives the leases under which h is held; none is no error.
	Leases(ctx context.Context, h mh.Multihash) ([]Lease, error)

	// Held yields every block that is held, with its leases, in key order.
	Held(ctx context.Context) iter.Seq2[Holding, error]

	// Count is how many blocks Held would yield; it costs nothing to ask.
	Count() int64

	// Under yields the blocks held under the lease id, in key order.
	Under(ctx context.Context, id LeaseID) iter.Seq2[mh.Multihash, error]

	// Pin writes the pin of p.Root, in place of an older one.
	Pin(ctx context.Context, p Pin) error

	// Unpin forgets the pin of root; no such pin is no error.
	Unpin(ctx context.Context, root cid.Cid) error

	// Pinned gives the pin of root; false: there is none.
	Pinned(ctx context.Context, root cid.Cid) (Pin, bool, error)

	// Pins yields every pin, in order of its root.
	Pins(ctx context.Context) iter.Seq2[Pin, error]
}

// Holding is a block and the leases under which this peer holds it.
type Holding struct {
	Hash   mh.Multihash
	Leases []Lease
}

// Pin is a root that this peer's owner wants kept here, and the journal of its
// placement: as long as Pending stands, the keep loop has work to do for it.
type Pin struct {
	Root    cid.Cid   `json:"root"`
	Name    string    `json:"name,omitempty"`
	Size    int64     `json:"size"`              // bytes of the file
	Blocks  int       `json:"blocks"`            // distinct blocks under the root
	Time    time.Time `json:"time"`              // of the put
	Lease   LeaseID   `json:"lease,omitzero"`    // this peer's lease of it, if it has one
	Pending bool      `json:"pending,omitempty"` // not every block is known to have its copies yet
	Ends    bool      `json:"ends,omitempty"`    // the lease is not renewed: its end was chosen
}

// LockedError says that another process has the store open.
type LockedError struct {
	Dir string
	PID int // of that process; 0 when it could not be read
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("blocks: %s is in use by another daemon, pid %d", e.Dir, e.PID)
}

// ErrFull says that the disk, or the space given to a store, is full. Nothing was lost.
var ErrFull = errors.New("blocks: no space left")

// ErrBusy says that a task of which there is one at a time is under way already.
var ErrBusy = errors.New("blocks: this is being done already")

// ErrNoLease says that nobody has asked the network for copies of something: no lease on it
// is known here or to its holders.
var ErrNoLease = errors.New("blocks: no lease stands on it")

// NewerError says that a store was written by a later program than this one,
// in a format that this one does not know. Nothing in it was touched.
type NewerError struct {
	Dir     string
	Version int // of the format
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("blocks: %s has format %d, which is newer than this program", e.Dir, e.Version)
}
