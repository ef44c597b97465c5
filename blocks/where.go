package blocks

import (
	"fmt"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// What a peer that should have a block said of it, when it was asked to prove it.
const (
	SaysProved  = "proved"  // it has the block, for as long as its lease runs
	SaysRead    = "read"    // it has the block, and may forget it at any time
	SaysLacks   = "lacks"   // it has not got it
	SaysFalse   = "false"   // it said yes, and could not prove it
	SaysSilent  = "silent"  // it did not answer; Answer.Error says why
	SaysSuspect = "suspect" // it was not asked: it has not answered others for a while, and keeps its place until its grace is over
)

// Answer is what one peer said of a block.
type Answer struct {
	Peer   peer.ID `json:"peer"`
	Rank   int     `json:"rank"`             // by distance from the block among those named here, 0 is the closest; -1 is the publisher
	Holder bool    `json:"holder,omitempty"` // it should have the block; the others are those to take its place
	Self   bool    `json:"self,omitempty"`   // the peer that was asked to find out
	Says   string  `json:"says"`
	Error  string  `json:"error,omitempty"`
}

// Where is where one block is: what those said who should have it.
type Where struct {
	CID       cid.Cid   `json:"cid"`
	Size      int64     `json:"size,omitempty"` // bytes; 0 is not known
	Target    int       `json:"target"`         // copies the lease asks for
	Members   int       `json:"members"`        // other live members that could hold copies, up to 2r
	Copies    int       `json:"copies"`         // that were proved, the publisher's not counted
	Leased    bool      `json:"leased"`
	Publisher peer.ID   `json:"publisher,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	Repairs   peer.ID   `json:"repairs,omitempty"` // who is to restore missing copies: the closest that has one
	Answers   []Answer  `json:"answers"`           // closest first, the publisher's last
	Asked     time.Time `json:"asked"`
}

// Good reports whether the block has all copies that the network can hold.
func (w Where) Good() bool { return w.Copies > 0 && w.Copies >= min(w.Target, w.Members) }

// Sentence says w in words.
func (w Where) Sentence() string {
	says := map[string]int{}
	for _, a := range w.Answers {
		if a.Rank >= 0 {
			says[a.Says]++
		}
	}
	var rest []string
	for _, s := range []struct{ says, one, many string }{
		{SaysRead, "has it for a while only", "have it for a while only"},
		{SaysLacks, "lacks it", "lack it"},
		{SaysFalse, "could not prove it", "could not prove it"},
		{SaysSilent, "did not answer", "did not answer"},
		{SaysSuspect, "is away", "are away"},
	} {
		switch n := says[s.says]; n {
		case 0:
		case 1:
			rest = append(rest, "1 "+s.one)
		default:
			rest = append(rest, fmt.Sprintf("%d %s", n, s.many))
		}
	}
	head := fmt.Sprintf("%d of %d copies proved", w.Copies, min(w.Target, w.Members))
	if w.Members == 0 {
		head = "no other member is known"
	}
	return strings.Join(append([]string{head}, rest...), ", ")
}

// Why is the answer to why something is short of copies, or cannot be read.
type Why struct {
	Root   cid.Cid `json:"cid"`
	Whole  bool    `json:"whole"`            // every block has all its copies: there is nothing to explain
	Reason string  `json:"reason"`           // in one line
	Worst  *Where  `json:"worst,omitempty"`  // the first missing block, or the one with the fewest copies
	Health *Health `json:"health,omitempty"` // of all blocks; nil when they could not be found out for want of Worst
}

// Restored is what a repair that somebody asked for has done.
type Restored struct {
	Root    cid.Cid `json:"cid"`
	Blocks  int     `json:"blocks"`  // that were looked at
	Short   int     `json:"short"`   // that lacked copies before
	Copies  int     `json:"copies"`  // that were given
	Bytes   int64   `json:"bytes"`   // of those copies
	Lacking int     `json:"lacking"` // blocks that lack copies still
	Error   string  `json:"error,omitempty"`
}
