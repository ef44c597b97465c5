package node_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/go-cid"
)

// states is the state of the lease of root by publisher at each living holder.
func states(t *testing.T, w *nodetest.Net, publisher int, root cid.Cid) (out []blocks.Lease) {
	t.Helper()
	for _, i := range w.Holders(root) {
		if i == publisher {
			continue
		}
		ls, err := w.Mem[i].Leases(t.Context(), root.Hash())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ls...)
	}
	return out
}

func put(t *testing.T, n *node.Node, seed uint64, o blocks.PutOptions) blocks.Receipt {
	t.Helper()
	rc, err := n.Put(t.Context(), bytes.NewReader(blockstest.Random(seed, 3<<20)), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rc
}

// A lease of ten minutes is renewed at its half by the publisher's own daemon, and its
// holders hear of it before it ends; one whose end was chosen ends, and then and after it
// nothing is deleted. Without the publisher nothing is renewed.
func TestALeaseIsRenewedWhileItsPublisherLives(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	for _, alive := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			cfg := nodetest.Config()
			cfg.Replica.R, cfg.Replica.Expires = 3, node.Duration(10*time.Minute)
			w := nodetest.New(t, 6, cfg)
			long := put(t, w.Nodes[1], 1, blocks.PutOptions{Wait: blocks.WaitFull})
			short := put(t, w.Nodes[1], 2, blocks.PutOptions{Wait: blocks.WaitFull, Expires: 10 * time.Minute})
			if !alive {
				w.Kill(1)
			}
			time.Sleep(25 * time.Minute)
			now := time.Now()
			ls := states(t, w, 1, long.Root)
			if len(ls) < 3 {
				t.Fatalf("%d holders", len(ls))
			}
			for _, l := range ls {
				if stands := l.Valid(now) == nil; stands != alive {
					t.Errorf("publisher lives: %v: lease of %s number %d stands: %v", alive, l.Expires, l.Seq, stands)
				}
			}
			gone := states(t, w, 1, short.Root)
			if len(gone) < 3 {
				t.Errorf("%d holders of what has run out: it was deleted without need", len(gone))
			}
			for _, l := range gone {
				if l.Seq != 1 || l.Valid(now) == nil {
					t.Errorf("a lease whose end was chosen was renewed: number %d, %s", l.Seq, l.Expires)
				}
			}
		})
	}
}

// A put that never gets all of its copies, because a holder has no room, stays queued; its lease
// is renewed all the same, and what it did place stays.
func TestALeaseIsRenewedThoughItsPutIsShort(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := nodetest.Config()
		cfg.Replica.R, cfg.Replica.Expires = 3, node.Duration(4*time.Minute)
		w := nodetest.Growing(t, 3, 1, cfg)
		tight := cfg
		tight.Store.Quota = 1
		w.JoinAs(tight)
		time.Sleep(time.Minute)
		rc := put(t, w.Nodes[0], 1, blocks.PutOptions{Wait: blocks.WaitLocal})
		time.Sleep(time.Minute)
		if pin, ok, err := w.Mem[0].Pinned(t.Context(), rc.Root); err != nil || !ok || !pin.Pending || len(states(t, w, 0, rc.Root)) != 2 {
			t.Fatalf("%+v, %d copies, %v: this test shows nothing", pin, len(states(t, w, 0, rc.Root)), err)
		}
		time.Sleep(5 * time.Minute)
		now := time.Now()
		for _, l := range states(t, w, 0, rc.Root) {
			if err := l.Valid(now); err != nil {
				t.Errorf("number %d: %v", l.Seq, err)
			}
		}
	})
}

// A lease that is withdrawn is over at its holders, at once or at their next look; what
// it held can be collected there, and not before; an old lease brings nothing back.
func TestWhatIsWithdrawnMayBeForgotten(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := nodetest.Config()
		cfg.Replica.R = 3
		w := nodetest.New(t, 8, cfg)
		rc := put(t, w.Nodes[1], 1, blocks.PutOptions{Wait: blocks.WaitFull, Name: "mine"})
		stay := put(t, w.Nodes[2], 2, blocks.PutOptions{Wait: blocks.WaitFull})
		holders := w.Holders(rc.Root)
		holders = slices.DeleteFunc(holders, func(i int) bool { return i == 1 })
		old := states(t, w, 1, rc.Root)[0]
		collect := func() {
			for i, n := range w.Nodes {
				if i != 1 {
					if _, err := n.GC(t.Context(), 0, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		collect()
		if n := len(w.Holders(rc.Root)); n < 4 {
			t.Fatalf("%d have it after a collection under its lease", n)
		}
		info, err := w.Nodes[1].Withdraw(t.Context(), rc.Root.String())
		if err != nil || info.State != "revoked" || info.Seq != 2 || info.Keepers < 3 || info.Told == 0 || !info.Pinned || info.Name != "mine" {
			t.Fatalf("%+v, %v", info, err)
		}
		if _, err := w.Nodes[1].Withdraw(t.Context(), rc.Root.String()); !blocks.IsNotFound(err) {
			t.Errorf("withdrawn twice: %v", err)
		}
		if _, err := w.Nodes[2].Withdraw(t.Context(), rc.Root.String()); !blocks.IsNotFound(err) {
			t.Errorf("withdrawn by another: %v", err)
		}
		time.Sleep(3 * time.Minute) // two looks
		for _, l := range states(t, w, 1, rc.Root) {
			if l.State != blocks.LeaseRevoked {
				t.Errorf("a holder has number %d, %d", l.Seq, l.State)
			}
		}
		if n := len(w.Holders(rc.Root)); n < 4 {
			t.Errorf("%d have it: it was deleted without need", n)
		}
		collect()
		if left := w.Holders(rc.Root); !slices.Equal(left, []int{1}) {
			t.Errorf("after a collection %v have it, want its publisher alone", left)
		}
		if n := len(w.Holders(stay.Root)); n < 4 {
			t.Errorf("%d have what was not withdrawn", n)
		}
		if err := replay(t, w, holders[0], old, rc.Root); err == nil {
			t.Error("the old lease was taken again")
		}
		again := put(t, w.Nodes[1], 1, blocks.PutOptions{Wait: blocks.WaitFull}) // it may change its mind
		if again.Root != rc.Root || len(w.Holders(rc.Root)) < 4 {
			t.Errorf("put again: %v have it", w.Holders(rc.Root))
		}
	})
}

// replay offers the block of root to peer i under l, as whoever has heard l once can.
func replay(t *testing.T, w *nodetest.Net, i int, l blocks.Lease, root cid.Cid) error {
	t.Helper()
	b, err := w.Mem[1].Get(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wire.NewClient(w.Hosts[3], wire.Config{}).Store(t.Context(), w.Hosts[i].ID(), l, b)
	return err
}

// Who has pinned somebody else's root may give it a lease of its own: then it outlives
// the first one's.
func TestAnotherMayTakeOverALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := nodetest.Config()
		cfg.Replica.R = 3
		w := nodetest.New(t, 6, cfg)
		rc := put(t, w.Nodes[1], 1, blocks.PutOptions{Wait: blocks.WaitFull, Expires: 10 * time.Minute})
		if _, err := w.Nodes[2].Renew(t.Context(), rc.Root.String(), 0); !blocks.IsNotFound(err) {
			t.Fatalf("renewed what is not pinned: %v", err)
		}
		if _, err := w.Nodes[2].Pin(t.Context(), rc.Root.String(), "", nil); err != nil {
			t.Fatal(err)
		}
		for _, d := range []time.Duration{time.Second, 401 * 24 * time.Hour, -time.Hour} {
			if _, err := w.Nodes[2].Renew(t.Context(), rc.Root.String(), d); err == nil {
				t.Errorf("a lease of %s", d)
			}
		}
		info, err := w.Nodes[2].Renew(t.Context(), rc.Root.String(), 48*time.Hour)
		if err != nil || info.Seq != 1 || info.Renews || info.Bytes < 3<<20 || info.State != "active" {
			t.Fatalf("%+v, %v", info, err)
		}
		w.Kill(1)
		time.Sleep(15 * time.Minute) // the first lease is over
		h, err := w.Nodes[3].Health(t.Context(), rc.Root.String(), false)
		if err != nil || !h.Good() || h.Publisher != w.Hosts[2].ID() {
			t.Errorf("health %+v, %v", h, err)
		}
		var mine []blocks.LeaseInfo
		for l, err := range w.Nodes[2].Leases(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			mine = append(mine, l)
		}
		if len(mine) != 1 || mine[0].Root != rc.Root || !mine[0].Pinned {
			t.Errorf("leases %+v", mine)
		}
		more, err := w.Nodes[2].Lease(t.Context(), rc.Root.String(), blocks.LeaseOptions{Replicas: 4})
		if err != nil || more.Replicas != 4 || more.Seq != 2 {
			t.Errorf("%+v, %v", more, err)
		}
		time.Sleep(time.Minute)
		if h, err := w.Nodes[3].Health(t.Context(), rc.Root.String(), false); err != nil || h.Target != 4 || h.Min < 4 {
			t.Errorf("with one copy more: %+v, %v", h, err)
		}
		if _, err := w.Nodes[2].Lease(t.Context(), rc.Root.String(), blocks.LeaseOptions{Replicas: 21}); err == nil {
			t.Error("a lease of 21 copies")
		}
		if _, err := w.Nodes[2].Renew(t.Context(), "nonsense", 0); err == nil || errors.Is(err, blocks.ErrBadLease) {
			t.Errorf("nonsense: %v", err)
		}
	})
}

// When others need the space, what was held under leases that are over goes, and what is
// held under leases that stand does not; without that need nothing goes.
func TestSpaceIsMadeOfWhatLeasesNoLongerHold(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := nodetest.Config()
		cfg.Replica.R, cfg.Store.Quota = 3, 8<<20
		w := nodetest.New(t, 4, cfg)
		over := put(t, w.Nodes[1], 1, blocks.PutOptions{Wait: blocks.WaitFull, Expires: 5 * time.Minute})
		stands := put(t, w.Nodes[2], 2, blocks.PutOptions{Wait: blocks.WaitFull})
		time.Sleep(2 * time.Hour)
		if n := len(w.Holders(over.Root)); n != 4 {
			t.Fatalf("%d have what has run out: it was deleted without need", n)
		}
		o := blocks.PutOptions{Wait: blocks.WaitFull}
		var short *blocks.ShortError
		if _, err := w.Nodes[3].Put(t.Context(), bytes.NewReader(blockstest.Random(3, 4<<20)), o, nil); err != nil && !errors.As(err, &short) {
			t.Fatal(err) // short: who was full has now made space
		}
		time.Sleep(2 * time.Minute)
		rc, err := w.Nodes[3].Put(t.Context(), bytes.NewReader(blockstest.Random(3, 4<<20)), o, nil)
		if err != nil || rc.Least != 3 {
			t.Errorf("no space was made: %d copies, %v", rc.Least, err)
		}
		if n := len(w.Holders(stands.Root)); n != 4 {
			t.Errorf("%d have what is leased, want 4", n)
		}
	})
}
