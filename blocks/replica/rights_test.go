package replica_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Two have placed the same blocks. In time all who held them go, one after the other, and
// others take their places, by the lease of the one with the later end. Then that one takes it
// back: the other's copies are there all the same, and all of them.
func TestWhatTwoHavePlacedOutlivesTheLeaseOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const r = 3
		w := newSwarm(t, 12, inAHurry())
		bs, longer := w.put(5, 100, r)
		shorter, err := blocks.Grant(blockstest.Key(2), blocks.Lease{Root: bs[0].Cid(), Seq: 1, Issued: time.Now(), Expires: longer.Expires.Add(-24 * time.Hour), R: r})
		if err != nil {
			t.Fatal(err)
		}
		before := map[peer.ID]bool{}
		for _, b := range bs {
			for _, p := range w.alive() {
				if w.holds(p, b) {
					w.lay(p, b, shorter)
					before[p] = true
				}
			}
		}
		w.settled()
		for i, p := range w.alive() {
			if before[p] {
				w.join(peer.ID(fmt.Sprintf("later-%03d", i)))
				w.leave(p)
				time.Sleep(2 * time.Minute)
			}
		}
		if least, _ := w.copies(bs); least < r {
			t.Fatalf("%d copies of a block when its holders have changed", least)
		}
		longer.Seq, longer.State = longer.Seq+1, blocks.LeaseRevoked
		over := blockstest.Must(blocks.Grant(blockstest.Key(1), longer))
		for _, p := range w.alive() {
			if err := replica.LeaseNews(w.nodes[p].mem)(t.Context(), replica.LeaseRecord(over)); err != nil {
				t.Fatal(err)
			}
		}
		if least, _ := w.copies(bs); least < r {
			t.Errorf("%d copies of a block under the lease that stands", least)
		}
	})
}

// A block that a neighbour has and this peer lacks is fetched under all of its leases.
func TestWhatIsFetchedIsHeldUnderAllOfItsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const r = 3
		cfg := crowd(5)
		cfg.R, cfg.NoRepair = r, false
		m := newMesh(r, cfg)
		b := bytesOf(1, 100)
		has, lacks := m.ids[0], m.ids[1]
		for who := range uint64(3) {
			if err := m.set[has].Keep(t.Context(), "", of(t, 1+who, r, 48*time.Hour), b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := m.set[lacks].Compare(t.Context(), has); err != nil {
			t.Fatal(err)
		}
		if ls, err := m.mem[lacks].Leases(t.Context(), b.Hash()); err != nil || len(ls) != 3 {
			t.Errorf("it is held under %d leases, %v", len(ls), err)
		}
	})
}
