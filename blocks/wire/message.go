package wire

import (
	"errors"
	"fmt"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	mh "github.com/multiformats/go-multihash"
)

// Protocol is the libp2p name of what is spoken here.
const Protocol protocol.ID = "/cairn/blocks/1.0.0"

// The most keys in one request, and the most of them to be proved.
const (
	Batch  = 512
	Proofs = 64

	// MaxLeases is under how many leases of others one block is held, and how many are told.
	MaxLeases = 16
)

// The limits and the patience of the protocol.
const (
	maxFrame  = 64 << 10
	maxKey    = 4 + 64    // code, length and the longest digest that is held
	maxLeases = MaxLeases // told of one block
	maxCloser = 8         // members in one hint
	maxAddrs  = 8
	maxMember = 512
	nonceSize = 32
	proofSize = 32

	streamCredit = 16 << 20 // reserved for one stream at most
	globalCredit = 64 << 20 // for all streams of one direction

	timeout = 10 * time.Second // for the peer's next step
	longest = 30 * time.Second // for one that waits for the peer's disk
)

// Status is what became of a block that was offered.
type Status uint8

// The ends an offered block can come to. All but the first two are refusals.
const (
	Stored         Status = 1 // on the disk, under the lease
	Have           Status = 2 // was there already, and is now held under the lease
	Mismatch       Status = 3 // the bytes were wrong
	Full           Status = 4
	Quota          Status = 5
	NotResponsible Status = 6 // not near enough to the key
	BadLease       Status = 7
	Banned         Status = 8
	Unfit          Status = 9  // size, kind or hash function
	Busy           Status = 10 // not warm yet, or too much at once: later perhaps
	Failed         Status = 11 // could not write it
	Older          Status = 12 // of a record: a later one is here
	Missed         Status = 13 // of a record: none is here
	Leased         Status = 14 // held under as many leases of others as a block may be
)

var statusText = [...]string{"?", "stored", "already here", "the bytes were wrong", "the space for others is full",
	"the publisher's share is used up", "not near enough", "the lease is not good", "refused for what it sent before",
	"size or hash function", "busy", "could not keep it", "a later one is here", "none is here", "held under as many leases as may be"}

func (s Status) String() string {
	if int(s) < len(statusText) {
		return statusText[s]
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Reason says why blocks are offered.
type Reason uint8

// The reasons of an offer.
const (
	Put     Reason = 1
	Fanout  Reason = 2
	Repair  Reason = 3
	Handoff Reason = 4
)

// State is what a peer has of a block.
type State byte

// The states of a block at a peer.
const (
	Absent State = 0
	Here   State = 1 // merely read; it may go at any time
	Held   State = 2 // under a lease
)

// Item is a block that is offered. A fan-out item is to be passed on to its other
// holders by the one it is offered to.
type Item struct {
	Hash   mh.Multihash
	Size   int // bytes
	Fanout bool
	Served int // of a fan-out item: how many of its closest holders its sender serves itself; 0 is [Served]
	Urgent bool
}

// Served is how many holders of a block its publisher serves where it does not say.
const Served = 2

// Ack is what became of one item of an offer. Peer is empty, or names the holder of
// whom the one that was asked says so: that counts once the holder itself confirms it.
type Ack struct {
	Status Status
	Peer   peer.ID
	Closer []peer.AddrInfo // for a refusal: who is nearer, as the peer believes
	Err    error           // nil for Stored and Have; else a [*Refusal], or why it was not sent
}

// Refusal is a peer's no to a block, or to all that was asked of it.
type Refusal struct {
	Code   Status
	Reason string
	Retry  time.Duration // when Busy: not before; 0 is not known
	Closer []peer.AddrInfo
}

func (r *Refusal) Error() string { return "wire: refused: " + r.Reason }

func refusal(s Status) *Refusal { return &Refusal{Code: s, Reason: s.String()} }

// Missing says that a peer has not got a block, and who may have it, as it believes.
// [blocks.IsNotFound] holds for it.
type Missing struct {
	Key  mh.Multihash
	Hint []peer.AddrInfo
}

func (m *Missing) Error() string { return m.Unwrap().Error() }
func (m *Missing) Unwrap() error { return blocks.NotFound(blocks.Key(m.Key)) }

// Closer is the hint, for who knows this error only by what it can say.
func (m *Missing) Closer() []peer.AddrInfo { return m.Hint }

// ErrForm says that a peer broke the rules of the protocol.
var ErrForm = errors.New("wire: malformed message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrForm, fmt.Errorf(format, args...))
}

// The messages as they stand in a frame.
type (
	item struct {
		hash               mh.Multihash
		size               uint32
		flags, kind, copys uint32
	}
	offer struct {
		items  []item
		ids    [][]byte
		record []byte
		reason uint32
	}
	deny struct {
		idx, status uint32
		closer      []peer.AddrInfo
	}
	begun struct{ idx, size uint32 }
	want  struct {
		bitmap []byte
		credit uint64
		deny   []deny
		begun  []begun
	}
	data struct{ idx, size uint32 }
	ack  struct {
		idx, status, class uint32
		peer               []byte
	}
	credit struct{ bytes uint64 }
	get    struct {
		items  []item
		credit uint64
	}
	miss struct {
		idx    uint32
		closer []peer.AddrInfo
	}
	cancel struct{ idx uint32 }
	have   struct {
		keys  []mh.Multihash
		nonce []byte
		prove []uint32
	}
	haveR struct {
		here   []byte
		proofs [][]byte
		held   []byte
	}
	busy    struct{ retryMS uint32 }
	leases  struct{ key mh.Multihash }
	leasesR struct{ records [][]byte }
	part    struct {
		bytes []byte
		more  uint32
	}
	naming struct{ names [][]byte }
	named  struct{ hashes []mh.Multihash }
)

const (
	flagFanout = 1
	flagUrgent = 2
	flagRest   = 4
)

func bitmap(n int) []byte { return make([]byte, (n+7)/8) }

func setBit(b []byte, i int) { b[i/8] |= 1 << (i % 8) }

func bit(b []byte, i int) bool { return b[i/8]&(1<<(i%8)) != 0 }

// checkBitmap answers an error unless b is one for n items.
func checkBitmap(b []byte, n int) error {
	if len(b) != (n+7)/8 || n%8 != 0 && b[len(b)-1]>>(n%8) != 0 {
		return malformed("bitmap of %d bytes for %d items", len(b), n)
	}
	return nil
}
