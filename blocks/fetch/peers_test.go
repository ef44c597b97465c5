package fetch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// holders have every block; each answers in its own way.
type holders struct {
	mem *blockstest.Mem

	mu    sync.Mutex
	how   map[peer.ID]func(context.Context) error
	asked map[peer.ID]int
}

func (h *holders) Fetch(ctx context.Context, p peer.ID, c cid.Cid) (blocks.Block, error) {
	h.mu.Lock()
	h.asked[p]++
	how := h.how[p]
	h.mu.Unlock()
	if err := how(ctx); err != nil {
		return blocks.Block{}, err
	}
	return h.mem.Get(ctx, c)
}

// change has p answer as how says from now on.
func (h *holders) change(p peer.ID, how func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.how[p] = how
}

// total is how often any holder was asked; an answer that came too late may still be under way.
func (h *holders) total() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.asked {
		n += k
	}
	return n
}

// times is how often p was asked.
func (h *holders) times(p peer.ID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[p]
}

func in(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func never(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// many are n different blocks that holders who answer as how says have.
func many(how map[peer.ID]func(context.Context) error, n, size int) (*holders, []cid.Cid) {
	h := &holders{mem: new(blockstest.Mem), how: how, asked: map[peer.ID]int{}}
	var cs []cid.Cid
	for i := range n {
		b := blocks.New(cid.Raw, append(fmt.Appendf(nil, "%8d", i), make([]byte, size)...))
		_ = h.mem.Put(context.Background(), b)
		cs = append(cs, b.Cid())
	}
	return h, cs
}

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// Of holders that are equally good each gives its part.
func TestLoadIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cs := many(map[peer.ID]func(context.Context) error{"a": in(50 * time.Millisecond), "b": in(50 * time.Millisecond), "c": in(50 * time.Millisecond)}, 120, 1<<10)
		f := fetch.New("me", new(blockstest.Mem), near{"a", "b", "c"}, h, fetch.Config{Parallel: 8, Rand: seeded(), Spread: 3})
		out, err := f.GetBlocks(t.Context(), cs)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for range out {
			n++
		}
		if n != len(cs) || h.times("a") < 20 || h.times("b") < 20 || h.times("c") < 20 {
			t.Errorf("%d blocks, asked %d, %d, %d", n, h.times("a"), h.times("b"), h.times("c"))
		}
	})
}

// A holder that never answers costs a hedge now and then, not one a block; one that is
// well again is asked again.
func TestWhoStallsIsAskedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		how := map[peer.ID]func(context.Context) error{"a": never, "b": in(10 * time.Millisecond), "c": in(10 * time.Millisecond)}
		h, cs := many(how, 400, 1<<10)
		f := fetch.New("me", new(blockstest.Mem), near{"a", "b", "c"}, h, fetch.Config{Rand: seeded(), Spread: 3})
		t0 := time.Now()
		for _, c := range cs[:200] {
			if _, err := f.Get(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(t0); d > 5*time.Second || h.times("a") > 12 {
			t.Errorf("200 blocks of 10 ms took %v; the one that stalls was asked %d times", d, h.times("a"))
		}
		h.change("a", in(10*time.Millisecond))
		time.Sleep(2 * time.Minute)
		stalled := h.times("a")
		for _, c := range cs[200:] {
			if _, err := f.Get(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if n := h.times("a") - stalled; n < 30 {
			t.Errorf("well again, it was asked %d times of 200", n)
		}
	})
}

// Where everybody is slow nothing is gained by asking twice: no more than a tenth of the
// bytes are asked for again, and a little besides.
func TestHedgesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := in(700 * time.Millisecond) // more than two hedges of who is not known
		h, cs := many(map[peer.ID]func(context.Context) error{"a": slow, "b": slow, "c": slow, "d": slow}, 100, 1<<20)
		f := fetch.New("me", new(blockstest.Mem), near{"a", "b", "c", "d"}, h, fetch.Config{Rand: seeded(), Parallel: 16})
		out, err := f.GetBlocks(t.Context(), cs)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for range out {
			n++
		}
		if n != 100 || h.total() > 100+10+8 {
			t.Errorf("%d blocks for %d questions", n, h.total())
		}
	})
}

// slowDisk keeps in its own time.
type slowDisk struct{ *blockstest.Mem }

func (s slowDisk) Put(ctx context.Context, bs ...blocks.Block) error {
	time.Sleep(10 * time.Second)
	return s.Mem.Put(ctx, bs...)
}

// A reader does not wait for the disk, who reads the same again asks nobody, and what
// was read is kept in the end.
func TestReaderDoesNotWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cs := many(map[peer.ID]func(context.Context) error{"a": in(time.Millisecond)}, 1, 1<<10)
		mem := new(blockstest.Mem)
		f := fetch.New("me", slowDisk{mem}, near{"a"}, h, fetch.Config{})
		bs, t0 := fetch.BlockService(slowDisk{mem}, f), time.Now()
		for range 3 {
			if _, err := bs.GetBlock(t.Context(), cs[0]); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(t0); d > 10*time.Millisecond || h.times("a") != 1 {
			t.Errorf("took %v and %d questions", d, h.times("a"))
		}
		if err := f.Close(); err != nil || time.Since(t0) < 10*time.Second {
			t.Errorf("closed after %v, %v", time.Since(t0), err)
		}
		if ok, _ := mem.Has(t.Context(), cs[0].Hash()); !ok {
			t.Error("what was read is not kept")
		}
	})
}

// A disk that is slower than the network is waited for once 32 blocks are on their way to it.
func TestReadingWaitsForADiskThatIsFarBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cs := many(map[peer.ID]func(context.Context) error{"a": in(0)}, 33, 1<<10)
		f := fetch.New("me", slowDisk{new(blockstest.Mem)}, near{"a"}, h, fetch.Config{})
		t0 := time.Now()
		for i, c := range cs {
			if _, err := f.GetBlock(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if late := time.Since(t0) >= 10*time.Second; late != (i == 32) {
				t.Fatalf("block %d after %v", i, time.Since(t0))
			}
		}
		_ = f.Close()
	})
}
