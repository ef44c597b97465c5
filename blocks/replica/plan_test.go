package replica

import (
	"slices"
	"testing"

	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

func TestPlan(t *testing.T) {
	type states = map[peer.ID]wire.State
	up := func(ps ...peer.ID) (out []seat) {
		for _, p := range ps {
			out = append(out, seat{peer: p, alive: true})
		}
		return out
	}
	for _, tt := range []struct {
		name    string
		seats   []seat
		spare   []peer.ID
		has     states
		elected bool
		give    []peer.ID
		urgent  bool
	}{
		{"all hold it", up("me", "a", "b"), nil, states{"a": wire.Held, "b": wire.Held}, true, nil, false},
		{"one lacks it, I am closest", up("me", "a", "b"), nil, states{"a": wire.Absent, "b": wire.Held}, true, []peer.ID{"a"}, false},
		{"one lacks it, a closer one holds it", up("a", "me", "b"), nil, states{"a": wire.Held, "b": wire.Absent}, false, nil, false},
		{"the closest lacks it", up("a", "me", "b"), nil, states{"a": wire.Absent, "b": wire.Held}, true, []peer.ID{"a"}, false},
		{"the closest has only read it", up("a", "me"), nil, states{"a": wire.Here}, true, []peer.ID{"a"}, false},
		{"the closest does not answer", up("a", "me", "b"), nil, states{"b": wire.Absent}, true, []peer.ID{"b"}, false},
		{"I have no seat, nobody holds it", up("a", "b"), nil, states{"a": wire.Absent, "b": wire.Absent}, true, []peer.ID{"a", "b"}, false},
		{"I have no seat, one holds it", up("a", "b"), nil, states{"a": wire.Absent, "b": wire.Held}, false, nil, false},
		{"a seat is lost, enough copies: wait", []seat{{peer: "me", alive: true}, {peer: "a"}, {peer: "b", alive: true}, {peer: "c", alive: true}}, []peer.ID{"x"},
			states{"b": wire.Held, "c": wire.Held}, true, nil, false},
		{"a seat is lost, too few copies: now", []seat{{peer: "me", alive: true}, {peer: "a"}, {peer: "b", alive: true}}, []peer.ID{"x", "y"},
			states{"b": wire.Held}, true, []peer.ID{"x"}, true},
		{"alone", up("me"), nil, nil, true, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := plan("me", tt.seats, tt.spare, 3, func(p peer.ID) (wire.State, bool) { s, ok := tt.has[p]; return s, ok })
			if d.elected != tt.elected || !slices.Equal(d.give, tt.give) || d.urgent != tt.urgent {
				t.Errorf("got %+v; want elected %v, give %v, urgent %v", d, tt.elected, tt.give, tt.urgent)
			}
		})
	}
}

// When everybody sees the same, exactly one of those that hold a block is elected,
// and what is given away brings every live seat to hold it.
func TestOneRepairerAndItIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "seats")
		var seats []seat
		has := map[peer.ID]wire.State{}
		for i := range n {
			p := peer.ID(rune('a' + i))
			s := seat{peer: p, alive: rapid.Bool().Draw(t, "alive")}
			seats = append(seats, s)
			if s.alive {
				has[p] = wire.State(rapid.IntRange(0, 2).Draw(t, "state"))
			}
		}
		state := func(p peer.ID) (wire.State, bool) { s, ok := has[p]; return s, ok }
		elected, holders := 0, 0
		given := map[peer.ID]bool{}
		for _, s := range seats {
			if has[s.peer] != wire.Held {
				continue
			}
			holders++
			if d := plan(s.peer, seats, nil, 3, state); d.elected {
				elected++
				for _, p := range d.give {
					given[p] = true
				}
			}
		}
		if holders > 0 && elected != 1 {
			t.Fatalf("%d elected of %d holders", elected, holders)
		}
		for _, s := range seats {
			if holders > 0 && s.alive && has[s.peer] != wire.Held && !given[s.peer] {
				t.Fatalf("%s lacks it and is given nothing", s.peer)
			}
		}
	})
}
