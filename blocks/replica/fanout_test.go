package replica_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
)

var quick = replica.Config{PutIdle: 20 * time.Second, Linger: 3 * time.Second, Every: time.Minute}

// sent is how often the publisher itself sent a block, all blocks together.
func (w *world) sent() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.put {
		n += k
	}
	return n
}

// A publisher sends each block twice, whatever the number of its copies; with a
// fan-out of all it sends every copy itself. Either way all r holders have it.
func TestPublisherSendsEachBlockTwice(t *testing.T) {
	for fanout, want := range map[int]int{0: 2, 1: 1, 3: 3, 20: 5} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld("a", "b", "c", "d", "e", "f", "g", "h")
			cfg := quick
			cfg.Fanout = fanout
			s, l, pin, bs := publisherOf(t, w, 50, 5, cfg, false)
			t0 := time.Now()
			p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil)
			if err != nil || p.Copies[5] != 50 || time.Since(t0) > time.Second {
				t.Fatalf("fan-out %d: %+v, %v after %v", fanout, p, err, time.Since(t0))
			}
			if got := w.sent(); got != want*len(bs) {
				t.Errorf("fan-out %d: the publisher sent %d blocks, want %d", fanout, got, want*len(bs))
			}
		})
	}
}

// A holder that keeps for itself what it is to pass on costs a put one linger, however
// many blocks it is given: the publisher brings them itself, and asks it no more.
func TestWhoDoesNotPassOnCostsOneLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d", "e", "f")
		w.keeps["a"], w.keeps["b"] = true, true
		s, l, pin, _ := publisherWith(t, w, 1000, 4, quick)
		t0 := time.Now()
		p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil)
		if d := time.Since(t0); err != nil || p.Copies[4] != 1000 || d > 4*time.Second {
			t.Fatalf("%+v, %v after %v; want one linger of 3 s", p, err, d)
		}
		again := blocks.Lease{Root: l.Root, Seq: 2, Issued: time.Now(), Expires: time.Now().Add(time.Hour), R: 4}
		if again, err = blocks.Grant(blockstest.Key(1), again); err != nil {
			t.Fatal(err)
		}
		t0 = time.Now()
		if _, err := s.Queue(again, pin).Wait(t.Context(), blocks.WaitFull, nil); err != nil || time.Since(t0) > time.Second {
			t.Errorf("once more: %v after %v", err, time.Since(t0))
		}
	})
}

// What a holder says of others does not count before they say so themselves.
func TestRelayedAnswersAreConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d", "e", "f")
		for _, p := range w.peers {
			w.boasts[p] = true
		}
		s, l, pin, bs := publisherWith(t, w, 100, 4, quick)
		p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil)
		if err != nil || p.Copies[4] != 100 {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, b := range bs {
			near, _, _ := w.Closest(t.Context(), b.Hash(), 4)
			for _, q := range near {
				if ok, _ := w.have[q].Has(t.Context(), b.Hash()); !ok {
					t.Fatalf("%s is not at %s, and counted", b, q)
				}
			}
		}
	})
}

// A holder that hands on to one who is down says so, and the next closest takes the
// place at once.
func TestNextClosestTakesThePlaceOfWhoIsNotReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d", "e", "f", "g")
		w.take["a"] = func(context.Context) error { return errors.New("down") }
		s, l, pin, _ := publisherWith(t, w, 200, 5, quick)
		t0 := time.Now()
		p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil)
		if err != nil || p.Copies[5] != 200 || time.Since(t0) > time.Second {
			t.Fatalf("%+v, %v after %v", p, err, time.Since(t0))
		}
	})
}

// Who says that it is full is not asked, and who is young only when there are not
// enough others. The control is the same network without what they say.
func TestFullAndYoungAreSpared(t *testing.T) {
	for _, c := range []struct {
		full, young []peer.ID
		spared      []peer.ID
	}{
		{nil, nil, nil},
		{[]peer.ID{"a"}, nil, []peer.ID{"a"}},
		{nil, []peer.ID{"a", "b"}, []peer.ID{"a", "b"}},
		{[]peer.ID{"a"}, []peer.ID{"b", "c"}, []peer.ID{"a"}}, // one of the young is needed
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld("a", "b", "c", "d", "e", "f")
			for _, p := range c.full {
				w.full[p] = true
			}
			for _, p := range c.young {
				w.young[p] = true
			}
			s, l, pin, _ := publisherWith(t, w, 60, 4, quick)
			if p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil); err != nil || p.Copies[4] != 60 {
				t.Fatalf("%+v, %v", p, err)
			}
			for _, p := range w.peers {
				if has := count(w.have[p]) > 0; has == slices.Contains(c.spared, p) {
					t.Errorf("full %v, young %v: %s has blocks: %v", c.full, c.young, p, has)
				}
			}
		})
	}
}

// A put looks around once for a window of its blocks, not once a block.
func TestLooksAroundAWindowAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c")
		s, l, pin, _ := publisherOf(t, w, 2500, 3, quick, false)
		if _, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if !slices.Equal(w.covers, []int{1024, 1024, 452}) {
			t.Errorf("looked around for %v", w.covers)
		}
	})
}

// A holder brings what it was brought to the holders that its sender does not serve,
// whatever the sender says of itself, and ends when one of them hangs.
func TestHolderPassesOnToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d", "e", "f")
		w.take["c"] = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		_, l, _, bs := publisherWith(t, newWorld(), 30, 5, quick)
		passed := map[peer.ID]int{}
		for _, b := range bs {
			near, _, _ := w.Closest(t.Context(), b.Hash(), 5)
			mem := w.have[near[0]]
			if err := errors.Join(mem.Put(t.Context(), b), mem.Hold(t.Context(), l, b.Hash())); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			said := map[peer.ID]wire.Status{}
			first := replica.New(near[0], mem, mem, w, w, quick)
			t0 := time.Now()
			first.Pass(t.Context(), l.Publisher, l, []wire.Item{{Hash: b.Hash(), Size: 100, Fanout: true}}, func(_ int, a wire.Ack) {
				mu.Lock()
				defer mu.Unlock()
				said[a.Peer] = a.Status
			})
			if d := time.Since(t0); d > 4*time.Second {
				t.Fatalf("took %v", d)
			}
			for _, q := range near[2:] {
				want := wire.Stored
				if q == "c" {
					want = wire.Failed
				}
				if said[q] != want {
					t.Errorf("of %s it says %q, want %q", q, said[q], want)
				}
				passed[q]++
			}
			if len(said) != 3 {
				t.Errorf("it speaks of %d others, want 3", len(said))
			}
		}
	})
}

// Whatever a stranger says of how many holders it serves itself, who is to pass on takes no
// harm of it.
func TestWhoServesMoreThanThereAreHoldersIsPassedOnForByNobody(t *testing.T) {
	for _, served := range []int{-1, 4, 5, 6, 1 << 30} {
		synctest.Test(t, func(t *testing.T) {
			const r = 3
			m, b, l := newMesh(12, replica.Config{R: r, Rate: -1}), bytesOf(1, 100), of(t, 1, r, time.Hour)
			near := m.nearest(b.Hash(), r)
			if st, err := m.bring(t, near[0], l, b); st != wire.Stored {
				t.Fatal(st, err)
			}
			m.set[near[0]].Pass(t.Context(), "stranger", l, []wire.Item{{Hash: b.Hash(), Size: 100, Fanout: true, Served: served}}, func(int, wire.Ack) {})
			if n := m.copies(b, near[0]); served > r && n > 0 || served < 0 && n != r-wire.Served {
				t.Errorf("%d are served: passed on to %d", served, n)
			}
		})
	}
}
