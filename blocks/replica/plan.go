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
	full  bool // it has no room for more
	asked bool // it said so of this block
}

// duty is what this peer owes one block.
type duty struct {
	elected bool      // it is for this peer to bring the others up to date
	give    []peer.ID // those that lack it, nearest first
	urgent  bool      // a lost seat is filled before its grace is over
	few     bool      // so few live copies are left that nothing is waited for
	live    int       // copies on live seats, this peer's among them wherever it is
}

// plan is the whole of the repair rule. Of the live members that hold a block the
// closest one gives it to every live seat that lacks it; everybody else does
// nothing. has says what a live peer has; unknown counts as lacking nothing, so
// that a peer that does not answer is neither given to nor relied on.
func plan(self peer.ID, seats []seat, spare []peer.ID, low int, has func(peer.ID) (wire.State, bool)) duty {
	for _, s := range seats {
		if s.peer == self {
			break // nobody closer holds it
		}
		if !s.alive {
			continue
		}
		if st, ok := has(s.peer); ok && st == wire.Held {
			return duty{}
		}
	}
	return owes(self, seats, spare, low, has)
}

// owes is what is to be given by whoever gives.
//
// While fewer than low live copies are left, the grace of lost seats is not waited
// for: spare, the next closest live members, take their places now. They take those
// of seats without room at any time, and what they hold so counts; who has the seat is
// offered the block once, so that it knows what others keep in its place.
func owes(self peer.ID, seats []seat, spare []peer.ID, low int, has func(peer.ID) (wire.State, bool)) duty {
	d, lost, gaps := duty{elected: true, live: 1}, 0, 0
	for _, s := range seats {
		switch {
		case s.peer == self:
		case !s.alive:
			lost++
		default:
			switch st, ok := has(s.peer); {
			case ok && st == wire.Held:
				d.live++
			case ok && s.full:
				if gaps++; !s.asked { // it is to know of the block, or has room for so much
					d.give = append(d.give, s.peer)
				}
			case ok:
				d.give = append(d.give, s.peer)
			}
		}
	}
	fill := func(gaps int) {
		for ; gaps > 0 && len(spare) > 0; gaps-- {
			p := spare[0]
			spare = spare[1:]
			if st, ok := has(p); ok && st == wire.Held {
				d.live++
			} else {
				d.give = append(d.give, p)
			}
		}
	}
	fill(gaps)
	if d.few = d.live < low; d.few && lost > 0 {
		d.urgent = true
		fill(lost)
	}
	return d
}
