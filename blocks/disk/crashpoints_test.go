package disk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/cairn-network/cairn/blocks/disk/crashfs"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tally is what a number of crashes led to.
type tally struct {
	mu     sync.Mutex
	points int
	panics int
	sum    verdict
	first  []string // failures, the first few, each with what makes it happen again
}

func (y *tally) add(what string, v verdict, panicked any) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.points++
	y.sum.lost += v.lost
	y.sum.wrong += v.wrong
	y.sum.risen += v.risen
	y.sum.odd += v.odd
	if panicked != nil {
		y.panics++
		v.why = append(v.why, fmt.Sprint("panic: ", panicked))
	}
	if len(v.why) > 0 && len(y.first) < 8 {
		y.first = append(y.first, fmt.Sprintf("%s: %q", what, v.why))
	}
}

func (y *tally) bad() int { return y.sum.lost + y.sum.wrong + y.sum.risen + y.sum.odd + y.panics }

func (y *tally) String() string {
	return fmt.Sprintf("crash points: %d, acked lost %d, wrong %d, panics %d, deleted back %d, other %d",
		y.points, y.sum.lost, y.sum.wrong, y.panics, y.sum.risen, y.sum.odd)
}

var crashModels = append(crashfs.Models(), crashfs.Reorder, crashfs.Reorder, crashfs.Tear512)

// openOn opens the store of a crash test: with segments so small that they fill up.
func openOn(f vfs.FS) (*disk.Store, error) {
	return disk.Open("/store", disk.Config{FS: f, Reserve: 4096, SegmentSize: 64 << 10, GroupTime: time.Microsecond})
}

// crashes runs the workload of a seed and crashes it everywhere, until there
// were as many points as wanted. fail is what is wrong with the disk's manners.
func (y *tally) crashes(t *testing.T, seed uint64, steps, points int, fail func(string, string, int) error) {
	t.Helper()
	d := crashfs.New()
	f := &crashfs.Faulty{FS: d, Fail: fail}
	h := newHistory(d.Len)
	w := &workload{
		rng: rand.New(rand.NewPCG(seed, 1)), h: h,
		open: func() (*disk.Store, error) { return openOn(f) },
	}
	if err := errors.Join(w.run(t.Context(), steps), w.s.Close()); err != nil {
		t.Fatalf("seed %d: the workload itself: %v", seed, err)
	}
	type job struct {
		c    crashfs.Crash
		disk *crashfs.Disk
	}
	jobs := make(chan job)
	var wg sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) { // ended by the close of jobs
		wg.Go(func() {
			for j := range jobs {
				y.point(t.Context(), fmt.Sprintf("seed %d, %v", seed, j.c), h, j.disk, j.c)
			}
		})
	}
	for c, disk := range d.Crashes(seed, crashModels...) {
		if y.done(points) {
			break
		}
		jobs <- job{c, disk}
	}
	close(jobs)
	wg.Wait()
}

func (y *tally) done(points int) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.points >= points
}

// point opens what a crash left, and holds it to the history. One in sixteen
// crashes again while it recovers.
func (y *tally) point(ctx context.Context, what string, h *history, d *crashfs.Disk, c crashfs.Crash) {
	v, panicked := reopened(ctx, h, d, c.At)
	y.add(what, v, panicked)
	if c.At%16 != 0 || c.Try > 0 {
		return
	}
	n := 0
	for again, disk := range d.Crashes(uint64(c.At), crashfs.Drop, crashfs.Reorder) {
		if n++; n%7 == 0 {
			v, panicked := reopened(ctx, h, disk, c.At)
			y.add(fmt.Sprintf("%s; then recovery %v", what, again), v, panicked)
		}
	}
}

var probe = block(1<<40, 700) // put after a crash, and deleted again

// reopened opens the store on d, judges it, and uses it.
func reopened(ctx context.Context, h *history, d *crashfs.Disk, at int) (v verdict, panicked any) {
	defer func() {
		if panicked = recover(); panicked != nil {
			panicked = fmt.Sprintf("%v\n%s", panicked, debug.Stack())
		}
	}()
	s, err := openOn(d)
	if err != nil {
		v.add(&v.lost, "open: %v", err)
		return v, nil
	}
	v = h.judge(ctx, s, at)
	b := probe
	if err := s.Put(ctx, b); err != nil {
		v.add(&v.odd, "put afterwards: %v", err)
	} else if got, err := s.Get(ctx, b.Cid()); err != nil || string(got.RawData()) != string(b.RawData()) {
		v.add(&v.odd, "get of what was put afterwards: %v", err)
	}
	if err := errors.Join(s.Delete(ctx, b.Hash()), s.Close()); err != nil {
		v.add(&v.odd, "close: %v", err)
	}
	return v, nil
}

func TestNoCrashLosesWhatWasAcknowledged(t *testing.T) {
	want := 5000
	if testing.Short() {
		want = 1500
	}
	if long() {
		want = 20_000
	}
	var y tally
	start := time.Now()
	for seed := uint64(1); !y.done(want); seed++ {
		y.crashes(t, seed, 120, want, nil)
	}
	t.Logf("%s (%.1f s)", &y, time.Since(start).Seconds())
	for _, why := range y.first {
		t.Error(why)
	}
	if y.bad() > 0 && len(y.first) == 0 {
		t.Error("something was lost")
	}
}

// The same on a disk whose syncs do nothing: if nothing were lost there, the
// test above would prove nothing.
func TestControlWithoutSyncCrashesLose(t *testing.T) {
	var y tally
	y.crashes(t, 1, 60, 1200, crashfs.NoSync)
	t.Logf("control, no sync: %s", &y)
	if y.sum.lost == 0 {
		t.Error("nothing was lost")
	}
}
