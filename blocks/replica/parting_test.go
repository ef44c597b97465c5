package replica_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
)

// holdersOf is how many hold b under a lease.
func (m *mesh) holdersOf(t *testing.T, b blocks.Block) (n int) {
	t.Helper()
	for _, p := range m.ids {
		if m.keeps(t, p, b) {
			n++
		}
	}
	return n
}

func (m *mesh) keeps(t *testing.T, p peer.ID, b blocks.Block) bool {
	t.Helper()
	st, err := wire.StateOf(t.Context(), m.mem[p], m.mem[p], b.Hash())
	if err != nil {
		t.Fatal(err)
	}
	return st == wire.Held
}

// All three that hold a block of two copies give way at the same moment, each with the proofs
// of the two others in its hand: two of them stay.
func TestWhoGivesWayDoesNotCountOnWhoDoesSoToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const r, life = 2, 300 * 24 * time.Hour
		m := meshOf(named(3), replica.Config{R: r, Rate: -1, PeerRate: -1, Quota: 1000, Yield: 1000, LeastShare: 100, Linger: time.Second})
		m.back = time.Second
		theirs := []blocks.Block{bytesOf(1, 350), bytesOf(2, 350)} // each gives up one, so that two give up the same
		for _, p := range m.ids {
			for _, b := range theirs {
				if st, err := m.bring(t, p, of(t, 1, r, life), b); st != wire.Stored {
					t.Fatal(st, err)
				}
			}
			for who := range uint64(3) {
				if st, err := m.bring(t, p, of(t, 2+who, r, life), bytesOf(10+who, 100)); st != wire.Stored {
					t.Fatal(st, err)
				}
			}
			if st, _ := m.bring(t, p, of(t, 9, r, life), bytesOf(99, 100)); st != wire.Full {
				t.Fatalf("the guest: %s", st)
			}
		}
		var wg sync.WaitGroup
		for _, p := range m.ids {
			wg.Go(func() {
				if _, err := m.set[p].Displace(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i, b := range theirs {
			if n := m.holdersOf(t, b); n < r {
				t.Errorf("block %d is on %d peers", i, n)
			}
		}
	})
}

// What is let go was proved a moment ago: a block that others have is not kept waiting, proofs
// in hand, until one that they lack has been given to them.
func TestWhatGivesWayWasJustProved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const r, life = 2, 300 * 24 * time.Hour
		m, at := tight(4, 1000, replica.Config{R: r, Rate: -1, PeerRate: -1, Quota: -1, Yield: 1000})
		seed := uint64(0)
		far := func(rank int) blocks.Block { // the next block to which at is so far
			for {
				seed++
				if b := bytesOf(seed, 80); slices.Index(m.nearest(b.Hash(), 4), at) == rank {
					return b
				}
			}
		}
		greedy := of(t, 1, r, life)
		proved, lacked := far(2), far(3)
		var holder peer.ID
		for _, b := range []blocks.Block{proved, lacked, far(0), far(0), far(0), far(0), far(0)} {
			others := slices.DeleteFunc(m.nearest(b.Hash(), 4), func(p peer.ID) bool { return p == at })[:r]
			if b.Cid() == lacked.Cid() {
				others = others[:1]
			} else if b.Cid() == proved.Cid() {
				holder = others[0]
			}
			for _, p := range append(others, at) {
				if st, err := m.bring(t, p, greedy, b); st != wire.Stored {
					t.Fatal(st, err)
				}
			}
		}
		for who := range uint64(4) {
			if st, err := m.bring(t, at, of(t, 2+who, r, life), bytesOf(1000+who, 110)); st != wire.Stored {
				t.Fatal(st, err)
			}
		}
		if st, _ := m.bring(t, at, of(t, 9, r, life), bytesOf(2000, 166)); st != wire.Full {
			t.Fatalf("the guest: %s", st)
		}
		m.lag = 10 * time.Second
		before := true
		time.AfterFunc(15*time.Second, func() { // after the first proofs, and while the other block is given
			before = m.keeps(t, at, proved)
			if err := m.mem[holder].Release(t.Context(), greedy.ID(), proved.Hash()); err != nil {
				t.Error(err)
			}
		})
		out, err := m.set[at].Displace(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if out.Blocks != 2 {
			t.Fatalf("%+v: this test shows nothing", out)
		}
		if before && !m.keeps(t, at, proved) {
			t.Error("it is let go when one that had proved it a while ago has it no more")
		}
	})
}
