package replica

import (
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
)

// seat is a holder's place near a block: the r members closest to it, without the
// publisher, nearest first. One that was lost a moment ago keeps its seat.
type seat struct {
	peer  peer.ID
	alive bool
}

// duty is what this peer owes one block.
type duty struct {
	elected bool      // it is for this peer to bring the others up to date
	give    []peer.ID // those that lack it, nearest first
	urgent  bool      // so few live copies are left that a lost seat is filled at once
}

// plan is the whole of the repair rule. Of the live members that hold a block the
// closest one gives it to every live seat that lacks it; everybody else does
// nothing. has says what a live peer has; unknown counts as lacking nothing, so
// that a peer that does not answer is neither given to nor relied on.
//
// While fewer than low live copies are left, the grace of lost seats is not waited
// for: spare, the next closest live members, take their places now.
func plan(self peer.ID, seats []seat, spare []peer.ID, low int, has func(peer.ID) (wire.State, bool)) duty {
	live, lost := 0, 0
	for _, s := range seats {
		switch {
		case s.peer == self:
			live++
		case !s.alive:
			lost++
		default:
			if st, ok := has(s.peer); ok && st == wire.Held {
				live++
			}
		}
	}
	d := duty{elected: true}
	for _, s := range seats {
		if s.peer == self {
			break // nobody closer holds it
		}
		if !s.alive {
			continue
		}
		if st, ok := has(s.peer); ok && st == wire.Held {
			d.elected = false
			return d
		}
	}
	for _, s := range seats {
		if s.peer == self || !s.alive {
			continue
		}
		if st, ok := has(s.peer); ok && st != wire.Held {
			d.give = append(d.give, s.peer)
		}
	}
	if lost > 0 && live < low {
		d.urgent = true
		d.give = append(d.give, spare[:min(lost, len(spare))]...)
	}
	return d
}
