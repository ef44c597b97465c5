package host

import (
	"strings"

	"github.com/libp2p/go-libp2p/core/protocol"
)

// Family is the protocols that do one thing, by which [Traffic] is told apart: a few
// names, whatever strangers call their own.
type Family int

// The families.
const (
	Other    Family = iota // of strangers, and what is said before a stream has a protocol
	Blocks                 // blocks and records: offers, gets, proofs
	Sync                   // comparisons
	View                   // who is a member: pings, hellos, views
	Kad                    // the DHT's lookups
	Gossip                 // announcements
	Identify               // what libp2p tells of a host
	Bitswap                // blocks to and from IPFS peers
	families
)

// String is the name of f.
func (f Family) String() string {
	return [families]string{"other", "blocks", "sync", "view", "kad", "gossip", "identify", "bitswap"}[f]
}

// Families gives all of them.
func Families() (all []Family) {
	for f := range families {
		all = append(all, f)
	}
	return all
}

// familyOf is the family of a protocol, found without allocating: it is called for
// each message.
func familyOf(id protocol.ID) Family {
	s := string(id)
	if own, ok := strings.CutPrefix(s, "/cairn/"); ok {
		switch {
		case strings.HasPrefix(own, "blocks/"):
			return Blocks
		case strings.HasPrefix(own, "sync/"):
			return Sync
		case strings.HasPrefix(own, "view/"):
			return View
		case strings.Contains(own, "/kad/"):
			return Kad
		}
		return Other
	}
	switch {
	case strings.HasPrefix(s, "/ipfs/id/"):
		return Identify
	case strings.HasPrefix(s, "/ipfs/bitswap"):
		return Bitswap
	case strings.HasPrefix(s, "/meshsub/"), strings.HasPrefix(s, "/floodsub/"):
		return Gossip
	}
	return Other
}
