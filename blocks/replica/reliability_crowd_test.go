package replica_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/blocks/replica/replicatest"
)

// S-10: one block is put, and 500 members read it at the same moment. Its publisher sends it
// twice, to the two closest holders, and nobody asks it again: the holders share the readers
// evenly. In the control nothing was placed, and the one that has it sends it to everybody.
func flashCrowd(t *testing.T, s *sheet, id string) {
	n := pick(s, 60, 500)
	add := adder(t, s, id)
	for _, placed := range []bool{true, false} {
		inWorld(t, replicatest.Config{N: n + 5, Seed: s.seed}, func(t *testing.T, w *replicatest.World) {
			origin := -1
			if placed {
				bs, l := w.Make(1)
				who, job, err := w.Publish(bs, l)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := job.Wait(ctx, blocks.WaitFull, nil); err != nil {
					t.Fatal(err)
				}
				origin = who
			} else {
				if err := w.Lay(1, func(_ int, near []int) []int { return near[:1] }); err != nil {
					t.Fatal(err)
				}
				origin = w.Holders(0)[0]
			}
			bs, _ := w.Make(1)
			holders := map[int]bool{}
			for _, h := range w.Holders(0) {
				holders[h] = true
			}
			before := map[int]int{}
			for h := range holders {
				before[h] = w.Gave(h)
			}
			var wg sync.WaitGroup // ends with the deadline of each read
			var mu sync.Mutex
			read, slowest, began := 0, time.Duration(0), time.Now()
			for _, m := range w.Live() {
				if holders[m] {
					continue
				}
				r := w.Reader(m)
				f := fetch.New(r.ID(), new(blockstest.Mem), r, r, fetch.Config{Rand: rand.New(rand.NewPCG(s.seed, uint64(m)))})
				wg.Go(func() {
					defer f.Close() //nolint:errcheck // it has nothing open
					if _, err := f.Get(t.Context(), bs[0].Cid()); err != nil {
						t.Errorf("member %d: %v", m, err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					read++
					slowest = max(slowest, time.Since(began))
				})
			}
			wg.Wait()
			if !placed {
				add("control, it was not placed: copies that the one sends who has it", w.Gave(origin), ">", 2, fmt.Sprint(read))
				return
			}
			busiest := 0
			for h := range holders {
				busiest = max(busiest, w.Gave(h)-before[h])
			}
			add(fmt.Sprintf("copies that the publisher of a block sends, %d read it at once", read), w.Gave(origin), "<=", 2, "2")
			add("copies that the busiest holder sends", busiest, "<=", 2*float64(read)/5, fmt.Sprintf("%d", read/5))
			add("ms until the last has it", int(slowest.Milliseconds()), "<=", 60_000, fmt.Sprintf("%.4g on a holder's line", float64(read)/5*(256<<10)/12.5e3))
		})
	}
}
