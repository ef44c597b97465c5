package disk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cockroachdb/pebble/v2/vfs"
	mh "github.com/multiformats/go-multihash"
)

type keeper = func(mh.Multihash) bool

func keeping(bs ...blocks.Block) func(context.Context) (keeper, error) {
	return func(context.Context) (keeper, error) {
		keep := make(map[string]bool)
		for _, b := range bs {
			keep[string(b.Hash())] = true
		}
		return func(h mh.Multihash) bool { return keep[string(h)] }, nil
	}
}

func TestSweepForgetsWhatNobodyNeeds(t *testing.T) {
	s := open(t, t.TempDir())
	bs := some(900)
	if err := s.Put(t.Context(), bs...); err != nil {
		t.Fatal(err)
	}
	l := blockstest.Lease(1, 1, bs[0].Cid(), testStart)
	if err := s.Hold(t.Context(), l, hashes(bs[:100])...); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	if _, err := s.Sweep(t.Context(), func(context.Context) (keeper, error) { return nil, mine }, 0); !errors.Is(err, mine) {
		t.Fatalf("got %v, want what mark answered", err)
	}
	sw, err := s.Sweep(t.Context(), keeping(bs[100:200]...), 0)
	if err != nil || sw.Blocks != 700 {
		t.Fatalf("got %+v, %v; want 700 blocks", sw, err)
	}
	for i, b := range bs {
		if ok, err := s.Has(t.Context(), b.Hash()); ok != (i < 200) || err != nil {
			t.Fatalf("block %d: %v, %v", i, ok, err)
		}
	}
	if again, err := s.Sweep(t.Context(), keeping(bs[100:200]...), 0); err != nil || again.Blocks != 0 {
		t.Fatalf("got %+v, %v the second time", again, err)
	}
}

func TestSweepTakesWhatWasNotReadForLongestFirst(t *testing.T) {
	s := open(t, t.TempDir())
	var bs []blocks.Block
	for i := range uint64(100) {
		bs = append(bs, block(i, 1000))
		if err := s.Put(t.Context(), bs[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 { // the oldest are read again
		if _, err := s.Get(t.Context(), bs[i].Cid()); err != nil {
			t.Fatal(err)
		}
	}
	sw, err := s.Sweep(t.Context(), keeping(), 19_500)
	if err != nil || sw.Blocks != 20 || sw.Bytes != 20_000 {
		t.Fatalf("got %+v, %v; want 20 blocks of 1000 bytes", sw, err)
	}
	for i, b := range bs {
		if ok, err := s.Has(t.Context(), b.Hash()); ok != (i < 10 || i >= 30) || err != nil {
			t.Fatalf("block %d: %v, %v", i, ok, err)
		}
	}
	if sw, err := s.Sweep(t.Context(), keeping(), 1<<40); err != nil || sw.Blocks != 80 {
		t.Fatalf("got %+v, %v; want all that is left", sw, err)
	}
}

// Blocks that lie about unneeded are put, or held, at the same time as a sweep
// forgets all that nobody needs. What was asked for when the sweep had begun must
// be there afterwards.
func TestNoSweepTakesWhatAPutReliesOn(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 300
	}
	s := openFS(t, vfs.NewMem(), "store")
	bs := some(12)
	r := rand.New(rand.NewPCG(1, 2))
	races, swept := 0, 0
	for round := range rounds {
		if err := s.Put(t.Context(), bs...); err != nil {
			t.Fatal(err)
		}
		var began atomic.Bool
		mark := func(context.Context) (keeper, error) {
			began.Store(true)
			return func(mh.Multihash) bool { return false }, nil
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		relied := make(map[int]bool) // guarded by mu
		start := make(chan struct{})
		errs := make(chan error, 8)
		wg.Go(func() {
			<-start
			sw, err := s.Sweep(t.Context(), mark, int64(round%2)<<30)
			errs <- err
			swept += sw.Blocks
		})
		for range 3 {
			i, spin := r.IntN(len(bs)), r.IntN(400)
			wg.Go(func() {
				<-start
				for range spin {
					_ = began.Load()
				}
				before := began.Load()
				if err := s.Put(t.Context(), bs[i]); err != nil {
					errs <- err
				}
				if before {
					mu.Lock()
					defer mu.Unlock()
					relied[i] = true
				}
			})
		}
		close(start)
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range relied {
			races++
			if _, err := s.Get(t.Context(), bs[i].Cid()); err != nil {
				t.Fatalf("round %d: block %d was swept from under its put: %v", round, i, err)
			}
		}
	}
	if races < rounds/20 || swept < rounds {
		t.Errorf("only %d races, %d blocks swept", races, swept)
	}
	t.Logf("%d races, %d blocks swept", races, swept)
}

func TestNoSweepTakesWhatIsHeldMeanwhile(t *testing.T) {
	s := open(t, t.TempDir())
	bs := some(40)
	if err := s.Put(t.Context(), bs...); err != nil {
		t.Fatal(err)
	}
	n := 0
	sw, err := s.Sweep(t.Context(), func(ctx context.Context) (keeper, error) {
		err := s.Hold(ctx, blockstest.Lease(1, 1, bs[0].Cid(), testStart), bs[3].Hash())
		return func(h mh.Multihash) bool {
			if n++; n == 1 { // in the middle
				err := errors.Join(s.Put(ctx, bs[7]), s.Hold(ctx, blockstest.Lease(2, 1, bs[0].Cid(), testStart), bs[9].Hash()))
				if err != nil {
					t.Error(err)
				}
			}
			return false
		}, err
	}, 0)
	if err != nil || sw.Blocks != 37 {
		t.Fatalf("got %+v, %v; want all but three", sw, err)
	}
	for _, i := range []int{3, 7, 9} {
		if _, err := s.Get(t.Context(), bs[i].Cid()); err != nil {
			t.Error(fmt.Errorf("block %d: %w", i, err))
		}
	}
}
