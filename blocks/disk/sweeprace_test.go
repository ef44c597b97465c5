package disk_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/cairn-network/cairn/blocks/disk/crashfs"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// claims is what callers have in work: put and not held yet.
type claims struct {
	mu sync.Mutex
	n  map[string]int // guarded by mu
}

func (c *claims) add(h mh.Multihash, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[string(h)] += n
}

func (c *claims) has(h mh.Multihash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[string(h)] > 0
}

// race lets callers put, hold and read the same few hundred blocks while a sweep
// follows the other, until so many were put and held, and counts the held blocks
// that were not there. knows is what the sweep is told of what callers have in work.
func race(t *testing.T, want int, knows func(*claims) func(mh.Multihash) bool) (done, sweeps, lost int) {
	t.Helper()
	s, err := disk.Open("/store", disk.Config{FS: crashfs.New(), Reserve: 4096, SegmentSize: 1 << 20, GroupTime: time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cl := &claims{n: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var held, missing atomic.Int64
	sweeper := make(chan error, 1)
	go func() { // ended by stop, waited for below
		for ctx.Err() == nil {
			mark := func(context.Context) (func(mh.Multihash) bool, error) { return knows(cl), nil }
			if _, err := s.Sweep(t.Context(), mark, 0); err != nil {
				sweeper <- err
				return
			}
			sweeps++
			if sweeps%50 == 0 {
				if _, err := s.Compact(t.Context(), nil); err != nil {
					sweeper <- err
					return
				}
			}
		}
		sweeper <- nil
	}()
	g := new(errgroup.Group)
	for k := range uint64(4) {
		g.Go(func() error {
			rng := rand.New(rand.NewPCG(k, 15))
			for i := uint64(0); held.Load() < int64(want); i++ {
				b := block(rng.Uint64N(1<<40)<<2|k, 60)
				if rng.IntN(2) == 0 {
					b = block(rng.Uint64N(300), 60) // others put it too
				}
				cl.add(b.Hash(), 1)
				if err := s.Put(t.Context(), b); err != nil {
					return err
				}
				if rng.IntN(4) == 0 { // merely read: it may go
					cl.add(b.Hash(), -1)
					continue
				}
				le := blockstest.Lease(k, i%20, b.Cid(), testStart)
				if err := s.Hold(t.Context(), le, b.Hash()); err != nil {
					return err
				}
				cl.add(b.Hash(), -1)
				held.Add(1)
				if ok, err := s.Has(t.Context(), b.Hash()); err != nil {
					return err
				} else if !ok {
					missing.Add(1)
				}
			}
			return nil
		})
	}
	err = g.Wait()
	stop()
	if err2 := <-sweeper; err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for h, err := range s.Held(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), blocks.Key(h.Hash)); err != nil {
			missing.Add(1)
		}
	}
	return int(held.Load()), sweeps, int(missing.Load())
}

func TestNoSweepTakesWhatIsHeldOrInWork(t *testing.T) {
	want := 10_000
	if testing.Short() {
		want = 1000
	}
	if long() {
		want = 100_000
	}
	done, sweeps, lost := race(t, want, func(c *claims) func(mh.Multihash) bool { return c.has })
	t.Logf("sweep against put and hold: %d held during %d sweeps, lost %d", done, sweeps, lost)
	if lost > 0 || sweeps < 10 {
		t.Errorf("%d held blocks are gone, after %d sweeps", lost, sweeps)
	}
}

func TestControlASweepThatIsNotToldOfWorkTakesIt(t *testing.T) {
	_, sweeps, lost := race(t, 5000, func(*claims) func(mh.Multihash) bool { return func(mh.Multihash) bool { return false } })
	if t.Logf("control, the sweep knows of no work: lost %d in %d sweeps", lost, sweeps); lost == 0 {
		t.Error("nothing was lost")
	}
}
