package blocks

import (
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Wait says how far a put must get before it is called done. Copies are counted
// on peers other than the publisher; m is how many of those are alive.
type Wait string

// The levels of Wait.
const (
	WaitLocal  Wait = "local"  // every block is on this peer's disk
	WaitQuorum Wait = "quorum" // every block is on min(3, m) other disks
	WaitFull   Wait = "full"   // every block is on min(r, m) other disks
)

// Quorum is the number of copies that WaitQuorum asks for where there are enough peers.
const Quorum = 3

// ParseWait reads a level.
func ParseWait(s string) (Wait, error) {
	switch w := Wait(s); w {
	case WaitLocal, WaitQuorum, WaitFull:
		return w, nil
	}
	return "", fmt.Errorf("blocks: wait %q: want local, quorum or full", s)
}

// Want is the number of copies that w asks of each block, for a lease of r
// copies in a network of m other members.
func (w Wait) Want(r, m int) int {
	switch w {
	case WaitLocal:
		return 0
	case WaitFull:
		return min(r, m)
	default:
		return min(Quorum, r, m)
	}
}

// Progress is how far a placement has got.
type Progress struct {
	Root    cid.Cid `json:"-"`       // of what is placed
	Blocks  int     `json:"blocks"`  // under the root
	Safe    int     `json:"safe"`    // with as many copies as were waited for
	Copies  []int   `json:"copies"`  // Copies[n] blocks have n copies elsewhere
	Target  int     `json:"target"`  // copies the lease asks for
	Members int     `json:"members"` // other members that could hold copies, up to 2r
}

// Receipt says what a put achieved.
type Receipt struct {
	Root      cid.Cid   `json:"cid"`
	Name      string    `json:"name,omitempty"`
	Size      int64     `json:"size"` // bytes of the file
	Progress            // at the time of the answer
	Least     int       `json:"least"` // copies elsewhere of the worst-kept block
	Holders   []peer.ID `json:"holders,omitempty"`
	Announced bool      `json:"announced,omitempty"`
	Took      Seconds   `json:"took"`
}

// Seconds is a duration that is written as a JSON number of seconds.
type Seconds time.Duration

// MarshalJSON writes milliseconds' precision.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(s).Seconds()), nil
}

// UnmarshalJSON reads a number of seconds.
func (s *Seconds) UnmarshalJSON(data []byte) error {
	var f float64
	if _, err := fmt.Sscan(string(data), &f); err != nil {
		return fmt.Errorf("blocks: seconds %q: %w", data, err)
	}
	*s = Seconds(f * float64(time.Second))
	return nil
}

// ShortError says that blocks have fewer copies than were waited for. They are
// on this peer's disk and queued: the keep loop goes on with them.
type ShortError struct {
	Root       cid.Cid
	Blocks     []cid.Cid // the short ones, the first few of them
	Short      int       // how many there are
	Have, Want int       // copies of the worst-kept one
	Members    int       // other members alive
	Err        error     // what the holders said, joined; nil when there were none
}

func (e *ShortError) Error() string {
	if e.Members == 0 {
		return fmt.Sprintf("%s is kept here only: no other peer is known", e.Root)
	}
	s := fmt.Sprintf("%d of the blocks of %s have fewer than %d copies elsewhere (worst: %d", e.Short, e.Root, e.Want, e.Have)
	if len(e.Blocks) > 0 {
		s += ", " + e.Blocks[0].String()
	}
	s += "); kept here and queued"
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ShortError) Unwrap() error { return e.Err }

// Health is how well the blocks under a root are kept, as its holders proved
// it just now. Copies are counted on the 2r closest live members of each block
// other than its publisher.
type Health struct {
	Root      cid.Cid      `json:"cid"`
	Target    int          `json:"target"`  // copies the lease asks for
	Members   int          `json:"members"` // other members that could hold copies, up to 2r
	Blocks    int          `json:"blocks"`  // distinct blocks under the root
	Bytes     int64        `json:"bytes"`   // of those blocks
	Min       int          `json:"min"`     // copies of the worst-kept block
	Mean      float64      `json:"mean"`    // copies of a block on average
	Copies    []int        `json:"copies"`  // Copies[n] blocks have n copies
	AtRisk    int          `json:"at_risk"` // blocks with fewer copies than min(r, members)
	Leased    bool         `json:"leased"`  // a holder showed a valid lease
	Publisher peer.ID      `json:"publisher,omitempty"`
	Expires   time.Time    `json:"expires,omitzero"`  // of the lease
	Holders   []peer.ID    `json:"holders"`           // with at least one of the blocks
	Repairs   []peer.ID    `json:"repairs,omitempty"` // who is to restore what is missing: of each block at risk, the closest that has it
	Proved    time.Time    `json:"proved"`            // when the oldest of the proofs was given
	Detail    []BlockCount `json:"detail,omitempty"`  // block by block
}

// BlockCount is one block of a Health.
type BlockCount struct {
	CID     cid.Cid   `json:"cid"`
	Holders []peer.ID `json:"holders"`
}

// Good reports whether every block has all copies the network can hold.
func (h Health) Good() bool { return h.AtRisk == 0 && h.Min > 0 }

// Sentence says h in words.
func (h Health) Sentence() string {
	s := h.copies()
	if !h.Leased && h.Min > 0 && h.Blocks > 0 {
		s += "; nobody is asked to keep them: no lease is known"
	}
	return s
}

// copies says how many copies there are.
func (h Health) copies() string {
	noun, verb := fmt.Sprintf("all %d blocks", h.Blocks), "have"
	if h.Blocks == 1 {
		noun, verb = "the only block", "has"
	}
	switch {
	case h.Blocks == 0 && h.Min > 0:
		return "its bytes are in the CID itself: there is no block that could be lost"
	case h.Blocks == 0:
		return "no block is known"
	case h.Min == 0 && len(h.Copies) == 0: // nobody counted
		return "no live copy is known"
	case h.Min == 0:
		return fmt.Sprintf("%d of %d blocks have no live copy on their holders", h.Copies[0], h.Blocks)
	case h.AtRisk > 0:
		return fmt.Sprintf("%d of %d blocks have fewer than %d live copies; any %d peers may leave", h.AtRisk, h.Blocks, min(h.Target, h.Members), h.Min-1)
	case h.Min == 1:
		return fmt.Sprintf("%s %s >= 1 live copy; its holder must not leave", noun, verb)
	default:
		return fmt.Sprintf("%s %s >= %d live copies; any %d of these peers may leave", noun, verb, h.Min, h.Min-1)
	}
}

// PutOptions is what a put may be asked for. The zero value is the default.
type PutOptions struct {
	Name     string        // told with announcements and kept with the pin
	Wait     Wait          // "" is WaitQuorum
	Fanout   int           // holders to which this peer brings each block itself, the closest of which passes it on; 0 is the peer's default
	Replicas int           // copies the lease asks for; 0 is the peer's default
	Expires  time.Duration // life of the lease; 0 is the peer's default
	Profile  string        // of the DAG; "" is unixfs-v1-2025
	Layout                 // what differs from the profile
	Announce bool          // tell the listing topic
	NoPlace  bool          // keep it here only, without a lease: nobody else will hold it
	Unpinned bool          // as NoPlace, and without a pin: it may be forgotten when space is needed
	HashOnly bool          // keep nothing, and say what the root would be
}

// Layout is what may be asked of the DAG of a file or a tree beside its profile. It changes the CID.
type Layout struct {
	Links  int   // children of a parent in a file; 0 is the profile's
	Chunk  int64 // bytes of the file in a leaf, up to [MaxSize]; 0 is the profile's
	Leaves Kinds // "" is the profile's, and raw when version 1 is asked for
	CIDs   Kinds // "" is the profile's

	Chunker string // that cuts by content, in Kubo's words: rabin, rabin-AVG, rabin-MIN-AVG-MAX or buzhash; "" is into pieces of Chunk
	Trickle bool   // leaves hang at all depths, so that a file is read from its begin as it comes, and not balanced
}

// Kinds names one of two ways to write blocks.
type Kinds string

// The ways.
const (
	LeavesRaw   Kinds = "raw"    // a leaf is the bytes of the file
	LeavesDagPB Kinds = "dag-pb" // a leaf is a node of UnixFS
	CIDv0       Kinds = "0"      // CIDs of directories, parents and dag-pb leaves are of version 0
	CIDv1       Kinds = "1"
)
