package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/cairn-network/cairn/blocks/disk/crashfs"
)

// TestADiskThatFailsOnceLosesNothing fails one operation of each kind, each time
// another one, in the middle of a workload. What was refused may be there or not;
// what was acknowledged is there, at once, after the fault is over, and after the
// power is cut. No restart is needed.
func TestADiskThatFailsOnceLosesNothing(t *testing.T) {
	most := int64(40)
	if testing.Short() {
		most = 8
	}
	type fail = func(string, string, int) error
	for name, fault := range map[string]func(*crashfs.Disk, int64) fail{
		"a sync fails and the pages are dropped": func(d *crashfs.Disk, n int64) fail { return crashfs.FailSync(d, n) },
		"a write fails":                          func(_ *crashfs.Disk, n int64) fail { return crashfs.Nth("write", n, syscall.EIO) },
		"a write is half done": func(_ *crashfs.Disk, n int64) fail {
			return crashfs.Nth("write", n, crashfs.Short(syscall.ENOSPC))
		},
		"a file cannot be made": func(_ *crashfs.Disk, n int64) fail { return crashfs.Nth("create", n, syscall.ENOSPC) },
		"a read fails":          func(_ *crashfs.Disk, n int64) fail { return crashfs.Nth("read", n, syscall.EIO) },
	} {
		t.Run(name, func(t *testing.T) {
			refused := 0
			for n := int64(1); n <= most; n++ {
				d := crashfs.New()
				refused += failOnce(t, d, ofTheLog(fault(d, n)), n)
			}
			t.Logf("%s: %d times, %d calls refused", name, most, refused)
		})
	}
}

// ofTheLog lets fail see what is done to the log and its directory only.
func ofTheLog(fail func(string, string, int) error) func(string, string, int) error {
	return func(op, name string, n int) error {
		if strings.Contains(name, "/index") {
			return nil
		}
		return fail(op, name, n)
	}
}

func failOnce(t *testing.T, d *crashfs.Disk, fail func(string, string, int) error, n int64) (refused int) {
	t.Helper()
	h := newHistory(d.Len)
	h.tolerate = true
	var over atomic.Bool
	f := &crashfs.Faulty{FS: d, Fail: func(op, name string, n int) error {
		if over.Load() {
			return nil
		}
		return fail(op, name, n)
	}}
	w := &workload{
		rng: rand.New(rand.NewPCG(uint64(n), 3)), h: h,
		open: func() (*disk.Store, error) { return openOn(f) },
	}
	if err := w.run(t.Context(), 40); err != nil {
		t.Errorf("fault %d: %v", n, err)
		return 0
	}
	over.Store(true)
	if v := h.judge(t.Context(), w.s, d.Len()); len(v.why) > 0 {
		t.Errorf("fault %d, while it was open: %q", n, v.why)
	}
	if err := w.s.Put(t.Context(), probe); err != nil {
		t.Errorf("fault %d: no put afterwards: %v", n, err)
	}
	at := d.Len()
	_ = w.s.Close() // says so if it did not end well; what counts is what it left
	for c, disk := range d.Crashes(uint64(n), crashfs.Drop, crashfs.Keep) {
		if c.At != at {
			continue
		}
		if v, panicked := reopened(t.Context(), h, disk, at); len(v.why) > 0 || panicked != nil {
			t.Errorf("fault %d, power cut afterwards, %s: %q %v", n, c.Model, v.why, panicked)
		}
	}
	return h.failed
}

func TestAFullDiskSaysSoAtOnceAndGoesOnWhenThereIsRoom(t *testing.T) {
	for _, reserve := range []int64{1, 1 << 20} { // the disk says so; we do before
		t.Run(fmt.Sprint(reserve), func(t *testing.T) {
			d := crashfs.New()
			d.Resize(12 << 20)
			s, err := disk.Open("/store", disk.Config{FS: d, Reserve: reserve})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var kept []blocks.Block
			for i := uint64(0); ; i++ {
				b := block(i, 100<<10)
				if err = s.Put(t.Context(), b); err != nil {
					break
				}
				kept = append(kept, b)
			}
			used := d.Used()
			for i := range uint64(20) {
				start := time.Now()
				if err := s.Put(t.Context(), block(1<<30+i, 100<<10)); !errors.Is(err, blocks.ErrFull) {
					t.Fatalf("got %v, want ErrFull", err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %v to say so", took)
				}
			}
			if orphans := d.Used() - used; orphans > 0 {
				t.Errorf("20 puts that failed left %d bytes", orphans)
			}
			for _, b := range kept {
				if got, err := s.Get(t.Context(), b.Cid()); err != nil || !bytes.Equal(got.RawData(), b.RawData()) {
					t.Fatalf("%s was lost: %v", b.Cid(), err)
				}
			}
			d.Resize(24 << 20)
			if err := s.Put(t.Context(), block(1<<30, 100<<10)); err != nil {
				t.Errorf("with room again: %v", err)
			}
			t.Logf("full after %d blocks, %d of %d bytes; 20 puts refused, nothing left of them", len(kept), used, 12<<20)
		})
	}
}

func TestADiskThatTurnsReadOnlyIsStillRead(t *testing.T) {
	d := crashfs.New()
	var ro atomic.Bool
	f := &crashfs.Faulty{FS: d, Fail: func(op, name string, n int) error {
		if ro.Load() {
			return crashfs.ReadOnly(op, name, n)
		}
		return nil
	}}
	s, err := openOn(f)
	if err != nil {
		t.Fatal(err)
	}
	b := block(1, 5000)
	le := blockstest.Lease(1, 1, b.Cid(), testStart)
	if err := errors.Join(s.Put(t.Context(), b), s.Hold(t.Context(), le, b.Hash())); err != nil {
		t.Fatal(err)
	}
	ro.Store(true)
	if err := s.Put(t.Context(), block(2, 5000)); !errors.Is(err, syscall.EROFS) {
		t.Errorf("put: got %v, want EROFS", err)
	}
	if got, err := s.Get(t.Context(), b.Cid()); err != nil || !bytes.Equal(got.RawData(), b.RawData()) {
		t.Errorf("get: %v", err)
	}
	ro.Store(false)
	if err := s.Put(t.Context(), block(2, 5000)); err != nil {
		t.Errorf("put when it can be written again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ro.Store(true)
	if s, err := openOn(f); err == nil {
		t.Error("a store was opened for writing on a disk that is not")
		_ = s.Close()
	}
	s, err = disk.Open("/store", disk.Config{FS: f, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for seed := range uint64(2) {
		if _, err := s.Get(t.Context(), block(seed+1, 5000).Cid()); err != nil {
			t.Errorf("opened to be read: %v", err)
		}
	}
	if ls, err := s.Leases(t.Context(), b.Hash()); err != nil || len(ls) != 1 {
		t.Errorf("got %d leases, %v", len(ls), err)
	}
}
