package replica

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// fixed is a router that always gives the same peers.
type fixed []peer.ID

func (f fixed) Closest(_ context.Context, _ mh.Multihash, n int) ([]peer.ID, bool, error) {
	return f[:min(n, len(f))], true, nil
}

func (f fixed) Seats(_ context.Context, _ mh.Multihash, n int) ([]peer.ID, []bool, error) {
	f = f[:min(n, len(f))]
	return f, slices.Repeat([]bool{true}, len(f)), nil
}

func (f fixed) Cover(context.Context, []mh.Multihash) error { return nil }
func (f fixed) Flagged(peer.ID) (full, young bool)          { return false, false }

func (f fixed) Ready() <-chan struct{}   { return nil }
func (f fixed) Changed() <-chan struct{} { return nil }

// Who failed has no seat for a day, and is a member all the same; who failed on three days
// is none for a week.
func TestWhoFailedThriceIsNoMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr trust
		r := trusting{fixed{"a", "b", "c", "d"}, &tr}
		check := func(when string, members, seats []peer.ID) {
			t.Helper()
			got, _, _ := r.Closest(t.Context(), nil, 3)
			sat, up, _ := r.Seats(t.Context(), nil, 3)
			if !slices.Equal(got, members) || !slices.Equal(sat, seats) || len(up) != len(sat) {
				t.Errorf("%s: closest %v, seats %v; want %v and %v", when, got, sat, members, seats)
			}
		}
		all, without := []peer.ID{"a", "b", "c"}, []peer.ID{"a", "c", "d"}
		check("at first", all, all)
		for day := range 3 {
			if !tr.blame("b") || tr.blame("b") {
				t.Errorf("day %d: one failure is news, the next is of the same cause", day)
			}
			if day < 2 {
				check("after a failure", all, without)
				time.Sleep(distrusted)
				check("a day later", all, all)
			}
		}
		check("after the third", without, without)
		time.Sleep(expelled)
		check("a week later", all, all)
	})
}

// What is remembered of failures is bounded.
func TestFailuresAreBounded(t *testing.T) {
	var tr trust
	for i := range maxFailed + 100 {
		tr.blame(peer.ID(string(rune(0x4e00 + i))))
	}
	if n := len(tr.failed); n != maxFailed {
		t.Errorf("%d remembered", n)
	}
}
