//go:build linux

package disk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// TestStoreFiguresOfManyBlocks prints what a store of many small blocks costs:
// to open after a kill, in memory, to index anew, and to collect.
func TestStoreFiguresOfManyBlocks(t *testing.T) {
	if os.Getenv("CAIRN_BENCH") == "" {
		t.Skip("SKIP: set CAIRN_BENCH=1 to measure")
	}
	t.Run("reopen", reopenFigures)
	t.Run("rebuild", rebuildFigures)
	t.Run("collect", collectFigures)
}

func reopenFigures(t *testing.T) {
	dir := filepath.Join(benchDir(t), "store")
	const n = 100_000
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir, fmt.Sprint(victimFill, "=", n))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = out.Read(make([]byte, 10)) // until it is full
	_ = cmd.Process.Kill()
	if err2 := cmd.Wait(); err != nil {
		t.Fatal(err, err2)
	}
	before := heap()
	start := time.Now()
	s, err := disk.Open(dir, disk.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), block(7<<32+n-1, 1024).Cid()); err != nil {
		t.Fatal(err)
	}
	opened := time.Since(start)
	listed := 0
	for _, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		listed++
	}
	after := heap()
	t.Logf("reopen after kill -9: %d blocks, first block read after %v (want <= 2 s); listed %d", n, opened.Round(time.Millisecond), listed)
	t.Logf("memory: heap in use grew by %.1f MiB in all, the index's caches among it unless cgo keeps them: %d bytes a block (want <= 120 beside a fixed cache)",
		float64(after-before)/mib, (after-before)/n)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		rebuilt(t, dir, "of 100,000 blocks of 1 KiB")
	}
}

// heap is how many bytes of the heap are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// worked is how long the processors have worked for this process.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// rebuilt makes the index anew from the log, which the page cache has.
func rebuilt(t *testing.T, dir, what string) {
	t.Helper()
	start, busy := time.Now(), worked(t)
	s, err := disk.Open(dir, disk.Config{Rebuild: true})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	busy = worked(t) - busy
	n := onDisk(t, dir)
	t.Logf("index made anew %s: %.0f MB in %v, %.0f MB/s, cached (want >= 500); the processors worked %v for it",
		what, float64(n)/1e6, took.Round(time.Millisecond), float64(n)/1e6/took.Seconds(), busy.Round(time.Millisecond))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func rebuildFigures(t *testing.T) {
	dir := filepath.Join(benchDir(t), "store")
	s, err := disk.Open(dir, disk.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(512) {
		if err := s.Put(t.Context(), block(9<<32+i, mib)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		rebuilt(t, dir, "of 512 blocks of 1 MiB")
	}
}

// latencies is how long calls took.
type latencies struct {
	mu       sync.Mutex
	put, get []time.Duration // guarded by mu
}

func (l *latencies) p99(t *testing.T) (put, get time.Duration) {
	t.Helper()
	slices.Sort(l.put)
	slices.Sort(l.get)
	if len(l.put) < 500 {
		t.Fatalf("%d puts and gets are too few", len(l.put))
	}
	return l.put[len(l.put)*99/100], l.get[len(l.get)*99/100]
}

// use puts and gets as a daemon does, four callers a hundred times a second each at
// most, until ctx ends.
func (l *latencies) use(ctx context.Context, s *disk.Store, from uint64, there []blocks.Block) error {
	g := new(errgroup.Group)
	for i := range uint64(4) {
		g.Go(func() error { return l.call(ctx, s, from+i<<24, there) })
	}
	return g.Wait()
}

// call is one caller of use.
func (l *latencies) call(ctx context.Context, s *disk.Store, from uint64, there []blocks.Block) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	rng := rand.New(rand.NewPCG(6, from))
	for i := from; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		b, g := block(i, 16<<10), there[rng.IntN(len(there))]
		start := time.Now()
		if err := s.Put(context.WithoutCancel(ctx), b); err != nil {
			return err
		}
		put := time.Since(start)
		start = time.Now()
		if err := s.View(context.WithoutCancel(ctx), g.Hash(), func([]byte) error { return nil }); err != nil {
			return err
		}
		l.mu.Lock()
		l.put, l.get = append(l.put, put), append(l.get, time.Since(start))
		l.mu.Unlock()
	}
}

// useFor is use for a while.
func (l *latencies) useFor(t *testing.T, s *disk.Store, from uint64, there []blocks.Block, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := l.use(ctx, s, from, there); err != nil {
		t.Fatal(err)
	}
}

func collectFigures(t *testing.T) {
	var puts, gets []float64
	for range 3 {
		p, g := collected(t)
		puts, gets = append(puts, p), append(gets, g)
	}
	t.Logf("collection, medians of three: put p99 %.1fx idle, get p99 %.1fx idle (want <= 3)", median(puts), median(gets))
}

// collected collects half of 200,000 blocks, and answers how many times as long puts
// and gets take meanwhile as before and after.
func collected(t *testing.T) (puts, gets float64) {
	dir := filepath.Join(benchDir(t), "store")
	s, err := disk.Open(dir, disk.Config{SegmentSize: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var kept []blocks.Block
	var dead []mh.Multihash
	all := many(200_000, 1024, 11)
	le := blockstest.Lease(1, 1, all[0].Cid(), testStart)
	for bs := range slices.Chunk(all, 500) {
		if err := s.Put(t.Context(), bs...); err != nil {
			t.Fatal(err)
		}
		var hs []mh.Multihash
		for i, b := range bs {
			if i%2 == 0 {
				kept, hs = append(kept, b), append(hs, b.Hash())
			} else {
				dead = append(dead, b.Hash())
			}
		}
		if err := s.Hold(t.Context(), le, hs...); err != nil {
			t.Fatal(err)
		}
	}
	before := onDisk(t, dir)
	var warm, first, busy, last latencies
	warm.useFor(t, s, 15<<32, kept, time.Second)
	first.useFor(t, s, 12<<32, kept, 5*time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var took time.Duration
	go func() { // ended by itself; its end cancels the use
		defer cancel()
		start := time.Now()
		var err error
		rest := s.Resting()
		for hs := range slices.Chunk(dead, 128) { // as a collection does
			err = errors.Join(err, s.Delete(t.Context(), hs...))
			rest(t.Context())
		}
		if err == nil {
			_, err = s.Compact(t.Context(), nil)
		}
		took = time.Since(start)
		ended <- err
	}()
	if err := errors.Join(busy.use(ctx, s, 13<<32, kept), <-ended); err != nil {
		t.Fatal(err)
	}
	last.useFor(t, s, 14<<32, kept, 5*time.Second)
	for _, b := range kept {
		if ok, err := s.Has(t.Context(), b.Hash()); err != nil || !ok {
			t.Fatalf("a held block is gone: %v", err)
		}
	}
	p1, g1 := first.p99(t)
	bp, bg := busy.p99(t)
	p2, g2 := last.p99(t)
	puts, gets = 2*float64(bp)/float64(p1+p2), 2*float64(bg)/float64(g1+g2)
	put := len(warm.put) + len(first.put) + len(busy.put) + len(last.put)
	t.Logf("deletion and compaction of half of 200,000 blocks took %v; %d MiB on the disk before, %d put since, %d after; %d calls of each kind idle, %d meanwhile",
		took.Round(time.Millisecond), before>>20, put*16>>10, onDisk(t, dir)>>20, len(first.put)+len(last.put), len(busy.put))
	t.Logf("put p99 %v idle, %v meanwhile, %v idle again: %.1fx; get p99 %v, %v, %v: %.1fx", p1, bp, p2, puts, g1, bg, g2, gets)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rebuilt(t, dir, "of these, each with what holds it")
	return puts, gets
}
