package fetch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/libp2p/go-libp2p/core/peer"
)

// With three holders of ten that take every question and answer none, the 99th of a hundred
// gets of 1 MiB takes no longer than three times what it takes without them.
func TestStalledHoldersCostThreeTimesAtMost(t *testing.T) {
	p99 := func(stalled int) (took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			const gets = 1000
			how := map[peer.ID]func(context.Context) error{}
			var ps near
			var mu sync.Mutex // two holders may be asked at once
			r := rand.New(rand.NewPCG(1, 2))
			for i := range 10 {
				p := peer.ID(fmt.Sprint(i))
				ps = append(ps, p)
				how[p] = func(ctx context.Context) error { // 1 MiB at 50 Mbit/s and two round trips of 40 ms
					mu.Lock()
					took := time.Duration(200+r.IntN(100)) * time.Millisecond
					mu.Unlock()
					return in(took)(ctx)
				}
				if i%3 == 1 && i/3 < stalled {
					how[p] = never
				}
			}
			h, cs := many(how, gets, 1<<20)
			f := fetch.New("me", new(blockstest.Mem), ps, h, fetch.Config{Rand: seeded()})
			var all []time.Duration
			for _, c := range cs {
				t0 := time.Now()
				if _, err := f.Get(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				all = append(all, time.Since(t0))
			}
			slices.Sort(all)
			took = all[gets*99/100]
		})
		return took
	}
	clean, bad := p99(0), p99(3)
	t.Logf("FIGURE p99 of 1 MiB: %v, with 3 of 10 stalled %v", clean, bad)
	if bad > 3*clean {
		t.Errorf("with stalled holders the 99th of a hundred takes %v, without %v", bad, clean)
	}
}
