package dht_test

import (
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/dht"
	mh "github.com/multiformats/go-multihash"
)

// Blocks are placed by far fewer lookups than there are blocks, over real hosts: at
// most 2 among 10 peers, 10 among 100, 40 among 300. Each is then exact and as an
// oracle says, and no further lookup was made for it. The control is the same blocks
// without the sweep.
func TestCoverPlacesManyBlocksByFewLookups(t *testing.T) {
	cases := []struct{ peers, most int }{{10, 2}}
	if !testing.Short() {
		cases = append(cases, struct{ peers, most int }{100, 10})
	}
	if os.Getenv("CAIRN_LONG") != "" {
		cases = append(cases, struct{ peers, most int }{300, 40})
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			const blocks = 1024
			w := newRing(t, c.peers)
			for r, cold := w.routers[c.peers-1], time.Now(); r.State() != dht.Ready; time.Sleep(time.Second) {
				if time.Since(cold) > time.Minute {
					t.Fatal("not ready")
				}
			}
			hs := make([]mh.Multihash, blocks)
			for i := range hs {
				hs[i] = key(t, i)
			}
			r := w.routers[c.peers/2]
			before := r.Lookups()
			if err := r.Cover(t.Context(), hs); err != nil {
				t.Fatal(err)
			}
			lookups := r.Lookups() - before
			t.Logf("%d peers: %d lookups for %d blocks", c.peers, lookups, blocks)
			if lookups > int64(c.most) {
				t.Errorf("%d peers: %d lookups, want %d at most", c.peers, lookups, c.most)
			}
			for i, h := range hs {
				ids, exact, err := r.Closest(t.Context(), h, 5)
				if want := w.oracle(h, 5); err != nil || !exact || !slices.Equal(ids, want) {
					t.Fatalf("%d peers, block %d: %v, exact %v, %v; want %v", c.peers, i, ids, exact, err, want)
				}
			}
			if more := r.Lookups() - before - lookups; more > 0 {
				t.Errorf("%d peers: %d lookups after the sweep", c.peers, more)
			}
		})
	}
}

// A sweep by a peer that knows nobody says so at once.
func TestCoverSaysSoWhenNobodyIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRing(t, 1)
		if err := w.routers[0].Cover(t.Context(), []mh.Multihash{key(t, 1)}); !errors.Is(err, dht.ErrAlone) {
			t.Errorf("alone: %v", err)
		}
	})
}

// Many questions at once share a lookup.
func TestQuestionsAtOnceShareALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRing(t, 10)
		r := w.routers[4]
		before := r.Lookups()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				ids, exact, err := r.Closest(t.Context(), key(t, i), 5)
				if err != nil || !exact || !slices.Equal(ids, w.oracle(key(t, i), 5)) {
					t.Errorf("key %d: %v, exact %v, %v", i, ids, exact, err)
				}
			})
		}
		wg.Wait()
		if n := r.Lookups() - before; n != 1 {
			t.Errorf("%d lookups for 200 questions", n)
		}
	})
}
