package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/pins"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
)

// What was unpinned or merely read goes; what is pinned, and what is held for others, stays.
func TestACollectionKeepsWhatSomebodyWants(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 7, nodetest.Config())
		put := func(i int, seed uint64, o blocks.PutOptions) string {
			t.Helper()
			rc, err := w.Nodes[i].Put(ctx, bytes.NewReader(blockstest.Random(seed, 3<<20)), o, nil)
			if err != nil {
				t.Fatal(err)
			}
			return rc.Root.String()
		}
		mine := put(0, 1, blocks.PutOptions{Wait: blocks.WaitFull})
		gone := put(0, 2, blocks.PutOptions{Wait: blocks.WaitFull})
		local := put(0, 3, blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true})
		theirs := put(1, 4, blocks.PutOptions{Wait: blocks.WaitFull})
		before := w.Blocks(0)
		held := w.Mem[0].Count()
		if _, _, err := w.Nodes[0].Unpin(ctx, gone); err != nil {
			t.Fatal(err)
		}
		out, err := w.Nodes[0].GC(ctx, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if out.Blocks != 4 || out.Bytes < 3<<20 || w.Blocks(0) != before-4 || out.Kept != int64(before-4) {
			t.Errorf("swept %+v of %d blocks, want the 4 of what was unpinned", out, before)
		}
		if got := w.Mem[0].Count(); got != held-4 {
			t.Errorf("%d blocks are held, want the %d others", got, held-4)
		}
		for path, seed := range map[string]uint64{mine: 1, local: 3, gone: 2, theirs: 4} { // gone comes from its holders
			if got := readAll(t, w.Nodes[0], path); got != string(blockstest.Random(seed, 3<<20)) {
				t.Errorf("%s: %d bytes, not those that were put", path, len(got))
			}
		}
		if h, err := w.Nodes[2].Health(ctx, theirs, false); err != nil || h.AtRisk > 0 {
			t.Errorf("health %+v, %v: want what is held for others untouched", h, err)
		}
	})
}

// Whoever collects by half a tree loses the other half.
func TestACollectionStopsAtAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 1, nodetest.Config())
		rc, err := w.Nodes[0].PutTree(ctx, items(nil, many(40)...), blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Mem[0].Delete(ctx, rc.Root.Hash()); err != nil {
			t.Fatal(err)
		}
		before := w.Blocks(0)
		_, err = w.Nodes[0].GC(ctx, 0, nil)
		var gap *pins.GapError
		if !errors.As(err, &gap) || !gap.Root.Equals(rc.Root) || !strings.Contains(err.Error(), rc.Root.String()) {
			t.Errorf("err = %v, want a gap under %s", err, rc.Root)
		}
		if got := w.Blocks(0); got != before {
			t.Errorf("%d blocks, want the %d of before", got, before)
		}
	})
}

// Puts, pins and unpins of files that share blocks go on while collections run, one
// after the other: what is pinned at the end is whole, and the rest is gone.
func TestNoCollectionTakesWhatAPutReliesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 1, nodetest.Config())
		n := w.Nodes[0]
		const files, workers, rounds = 12, 6, 60
		content := func(f int) string { // neighbours share chunks
			var b strings.Builder
			for i := range 3 {
				b.Write(blockstest.Random(uint64(f+i), 1<<20))
			}
			return b.String()
		}
		texts := make([]string, files)
		for f := range texts {
			texts[f] = content(f)
		}
		var wg sync.WaitGroup
		var mu [files]sync.Mutex // one worker at a time says whether a file is wanted
		var wanted [files]string // its root, or ""
		for i := range workers {
			rnd := rand.New(rand.NewPCG(uint64(i), 7))
			wg.Go(func() {
				for range rounds {
					f := rnd.IntN(files)
					mu[f].Lock()
					switch rnd.IntN(3) {
					case 0:
						if wanted[f] != "" {
							if _, ok, err := n.Unpin(ctx, wanted[f]); err != nil || !ok {
								t.Errorf("unpin: %t, %v", ok, err)
							}
							wanted[f] = ""
						}
					default:
						rc, err := n.Put(ctx, strings.NewReader(texts[f]), blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true}, nil)
						if err != nil {
							t.Error(err)
						}
						wanted[f] = rc.Root.String()
					}
					mu[f].Unlock()
					time.Sleep(time.Duration(rnd.IntN(1000)) * time.Microsecond)
				}
			})
		}
		stop, swept := make(chan struct{}), int64(0)
		var gc sync.WaitGroup
		gc.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Microsecond):
				}
				out, err := n.GC(ctx, 0, nil)
				if swept += out.Blocks; err != nil {
					t.Errorf("gc: %v", err)
					return
				}
			}
		})
		wg.Wait()
		close(stop)
		gc.Wait()
		if swept == 0 {
			t.Error("no collection took anything: the test proves nothing")
		}
		for f, root := range wanted {
			if root == "" {
				continue
			}
			if got := readAll(t, n, root); got != texts[f] {
				t.Errorf("file %d is not whole", f)
			}
		}
		if _, err := n.GC(ctx, 0, nil); err != nil {
			t.Error(err)
		}
		chunks := map[string]bool{}
		for f, root := range wanted {
			if root != "" {
				chunks[root] = true
				for i := range 3 {
					chunks[fmt.Sprint(f+i)] = true
				}
			}
		}
		if got := w.Blocks(0); got != len(chunks) {
			t.Errorf("%d blocks, want the %d of what is pinned", got, len(chunks))
		}
	})
}

// A second collection would not know what the first one's epoch was.
func TestOneCollectionAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 1, nodetest.Config())
		if _, err := w.Nodes[0].PutTree(ctx, items(nil, many(600)...), blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true}, nil); err != nil {
			t.Fatal(err)
		}
		var second error
		_, err := w.Nodes[0].GC(ctx, 0, func(blocks.Done) { _, second = w.Nodes[0].GC(ctx, 0, nil) })
		if err != nil || !errors.Is(second, blocks.ErrBusy) {
			t.Errorf("first %v, second %v; want nil and ErrBusy", err, second)
		}
	})
}

// What was merely read stays within its space, without anybody's doing; its control is a
// space that is not exceeded.
func TestWhatWasReadStaysWithinItsSpace(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	for _, limit := range []node.Size{3 << 20, 100 << 20} {
		synctest.Test(t, func(t *testing.T) {
			cfg := nodetest.Config()
			cfg.Store.Cache = limit
			ctx, w := t.Context(), nodetest.New(t, 10, cfg)
			rc, err := w.Nodes[0].Put(ctx, bytes.NewReader(blockstest.Random(1, 12<<20)), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
			if err != nil {
				t.Fatal(err)
			}
			reader := 1 // which holds the fewest of the file's blocks, so it reads the most
			for i := 2; i < 10; i++ {
				if w.Mem[i].Count() < w.Mem[reader].Count() {
					reader = i
				}
			}
			if got := readAll(t, w.Nodes[reader], rc.Root.String()); len(got) != 12<<20 {
				t.Fatalf("read %d bytes", len(got))
			}
			synctest.Wait()
			before, held := w.Blocks(reader), int(w.Mem[reader].Count())
			time.Sleep(45 * time.Second)
			after := w.Blocks(reader) - int(w.Mem[reader].Count())
			if limit > 12<<20 && w.Blocks(reader) != before || limit < 12<<20 && (after > 3 || after < 2) {
				t.Errorf("limit %s: %d blocks before, %d held; %d read ones after", limit, before, held, after)
			}
			if h, err := w.Nodes[1].Health(ctx, rc.Root.String(), false); err != nil || h.AtRisk > 0 {
				t.Errorf("limit %s: %+v, %v: what is held was touched", limit, h, err)
			}
		})
	}
}
