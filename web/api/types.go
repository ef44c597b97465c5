package api

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// Node is the part of a peer that this package shows.
type Node interface {
	// Put keeps what r gives until EOF; tell hears of progress, from one goroutine at a time.
	// A *blocks.ShortError comes with a receipt: everything is kept here and queued.
	Put(ctx context.Context, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error)
	// PutTree keeps the tree that items make, as Put does a file. A *blocks.NameError
	// says which item no tree may have.
	PutTree(ctx context.Context, items iter.Seq2[blocks.Item, error], o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error)
	// Jobs gives the puts whose journal is open, oldest first.
	Jobs(ctx context.Context) ([]blocks.Job, error)
	// List yields the entries of the directory that path names, as they are found.
	List(ctx context.Context, path string) iter.Seq2[blocks.Entry, error]
	// Leaves yields the blocks of the file that path names, in their order.
	Leaves(ctx context.Context, path string) iter.Seq2[blocks.Leaf, error]
	// Stat says what path names.
	Stat(ctx context.Context, path string) (blocks.Stat, error)
	// Pins yields the roots that are wanted here.
	Pins(ctx context.Context) iter.Seq2[blocks.Pin, error]
	// Pin fetches everything under path and keeps it; tell hears how many blocks are
	// known of and how many of them are here.
	Pin(ctx context.Context, path, name string, tell func(blocks.Progress)) (blocks.Pin, error)
	// Unpin forgets the pin of path and gives it; false: there was none.
	Unpin(ctx context.Context, path string) (blocks.Pin, bool, error)
	// Leases yields this peer's own leases.
	Leases(ctx context.Context) iter.Seq2[blocks.LeaseInfo, error]
	// Lease makes others keep everything under path, for longer if they do already. A root that
	// is pinned here and has no lease gets one.
	Lease(ctx context.Context, path string, o blocks.LeaseOptions) (blocks.LeaseInfo, error)
	// Withdraw takes this peer's lease of path back. blocks.IsNotFound holds when there is none.
	Withdraw(ctx context.Context, path string) (blocks.LeaseInfo, error)
	// Open gives the file that path names.
	Open(ctx context.Context, path string) (File, error)
	// Health asks the holders of everything under path; detail fills Health.Detail.
	Health(ctx context.Context, path string, detail bool) (blocks.Health, error)
	// Where says what those answered who should have the block that path names.
	Where(ctx context.Context, path string) (blocks.Where, error)
	// Why says why what is under path is short of copies, or cannot be read.
	Why(ctx context.Context, path string) (blocks.Why, error)
	// Restore gives missing copies of everything under path; blocks.ErrNoLease: nobody wants any.
	Restore(ctx context.Context, path string, tell func(blocks.Done)) (blocks.Restored, error)
	ID() ID
	Peers() []Peer
	// Connect dials the peer at addr and says who it is. A *BadAddressError or a
	// *NoAnswerError says why not.
	Connect(ctx context.Context, addr string) (id string, err error)
	// Updates yields announcements as they are heard, until ctx is done.
	Updates(ctx context.Context) iter.Seq2[Update, error]
	Repo
	Blocks
	Names
}

// File is an open file: its bytes are fetched as they are read.
type File interface {
	io.ReadSeekCloser
	CID() cid.Cid
	Size() int64
}

// ID says who a peer is and how it is doing.
type ID struct {
	ID        string    `json:"id"`
	Agent     string    `json:"agent"`
	Version   string    `json:"version"`
	Network   string    `json:"network"` // name of the network
	Profile   string    `json:"profile"` // public, lan, private or testnet
	State     string    `json:"state"`   // starting, alone, warming, ready
	Addresses []string  `json:"addresses"`
	Reachable string    `json:"reachable,omitempty"` // by strangers: yes, no, unknown; left out where nobody asks
	Gateway   string    `json:"gateway,omitempty"`   // URL
	API       string    `json:"api"`                 // URL
	Peers     int       `json:"peers"`               // connected
	Blocks    int64     `json:"blocks"`              // held under a lease here
	Started   time.Time `json:"started"`
}

// Peer is another peer this one is connected to.
type Peer struct {
	ID        string         `json:"id"`
	Addresses []string       `json:"addresses"`
	Agent     string         `json:"agent,omitempty"`
	Member    bool           `json:"member"`            // stores for others, and answers
	Suspect   bool           `json:"suspect,omitempty"` // a member that does not answer, or is about to stop
	Latency   blocks.Seconds `json:"latency,omitempty"` // smoothed round trip
}

// Update is an announcement.
type Update struct {
	From string    `json:"from"` // peer id of its author
	Seq  uint64    `json:"seq"`
	Root string    `json:"cid"`
	Name string    `json:"name,omitempty"`
	Size int64     `json:"size"`
	Time time.Time `json:"time"`
}
