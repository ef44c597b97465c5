package disk_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
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

// within fails the test at once when do does not end: no call may hang.
func within(t *testing.T, limit time.Duration, what string, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { // ends with do; if it does not, the test has failed
		err := errors.New("its goroutine ended")
		defer func() { done <- err }()
		err = do()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		t.Fatalf("%s: no answer in %v", what, limit)
		return nil
	}
}

// ofTheIndex lets fail see what is done to the index only, unless over says not to.
func ofTheIndex(over *atomic.Bool, fail func(string, string, int) error) func(string, string, int) error {
	return func(op, name string, n int) error {
		if over.Load() || !strings.Contains(name, "/index") {
			return nil
		}
		return fail(op, name, n)
	}
}

// TestAnIndexThatFailsOnceCostsAtMostTheCallsThatMeetIt fails one operation of the index
// each time, its MANIFEST and its directory too. It is no truth. What cannot be
// written is tried again, so that nobody notices; when it cannot be read the calls that
// meet it say so, and the next do not. After a restart all is there.
func TestAnIndexThatFailsOnceCostsAtMostTheCallsThatMeetIt(t *testing.T) {
	most := int64(30)
	if testing.Short() {
		most = 6
	}
	for op, cause := range map[string]func(*crashfs.Disk, int64) func(string, string, int) error{
		"write": func(_ *crashfs.Disk, n int64) func(string, string, int) error {
			return crashfs.Nth("write", n, crashfs.Short(syscall.ENOSPC))
		},
		"create": func(_ *crashfs.Disk, n int64) func(string, string, int) error {
			return crashfs.Nth("create", n, syscall.ENOSPC)
		},
		"sync": crashfs.FailSync,
		"read": func(_ *crashfs.Disk, n int64) func(string, string, int) error {
			return crashfs.Nth("read", n, syscall.EIO)
		},
	} {
		t.Run(op, func(t *testing.T) {
			met, refused, restarts := 0, 0, 0
			for n := int64(1); n <= most; n++ {
				f, r, again := failIndexOnce(t, cause, n)
				met, refused = met+f, refused+r
				if again {
					restarts++
				}
			}
			t.Logf("the index failed at %d places of %d: %d calls refused, %d times the store had to be opened again", met, most, refused, restarts)
			if met == 0 {
				t.Error("no fault was met")
			}
			if op != "read" && refused+restarts > 0 {
				t.Error("an index that could not be written once was noticed")
			}
			if refused > met || restarts > 0 {
				t.Error("an index that could not be read once cost more than the calls that met it")
			}
		})
	}
}

func failIndexOnce(t *testing.T, cause func(*crashfs.Disk, int64) func(string, string, int) error, n int64) (met, refused int, again bool) {
	t.Helper()
	d := crashfs.New()
	nth := cause(d, n)
	var over atomic.Bool
	var seen atomic.Int64
	f := &crashfs.Faulty{FS: d, Fail: ofTheIndex(&over, func(op, name string, k int) error {
		err := nth(op, name, k)
		if err != nil {
			seen.Add(1)
		}
		return err
	})}
	h := newHistory(d.Len)
	h.tolerate = true
	w := &workload{
		rng: rand.New(rand.NewPCG(uint64(n), 4)), h: h,
		open: func() (*disk.Store, error) { // an Open that fails is asked again
			over.Store(true)
			defer over.Store(false)
			return openOn(f)
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := within(t, time.Minute, "the workload", func() error { return w.run(ctx, 40) }); err != nil {
		t.Fatalf("fault %d: %v", n, err)
	}
	over.Store(true)
	var v verdict
	_ = within(t, time.Minute, "all that can be asked", func() error { v = h.judge(ctx, w.s, d.Len()); return nil })
	if v.wrong+v.risen > 0 {
		t.Errorf("fault %d: %q", n, v.why)
	}
	_ = within(t, time.Minute, "close", w.s.Close)
	at := d.Len()
	for c, disk := range d.Crashes(uint64(n), crashfs.Keep, crashfs.Drop) {
		if c.At != at {
			continue
		}
		if v, panicked := reopened(t.Context(), h, disk, at); len(v.why) > 0 || panicked != nil {
			t.Errorf("fault %d, reopened, %s: %q %v", n, c.Model, v.why, panicked)
		}
	}
	return int(seen.Load()), h.failed, len(v.why) > 0
}

// TestAnIndexThatCannotBeWrittenForAWhileIsNotNoticed has everything written to the
// index fail for a while, its MANIFEST and its directory too. Calls go on meanwhile
// and afterwards, without a restart; a store that is closed meanwhile loses nothing.
func TestAnIndexThatCannotBeWrittenForAWhileIsNotNoticed(t *testing.T) {
	for name, failing := range map[string]func(op, name string) error{
		"full": func(op, _ string) error {
			if op == "write" || op == "create" {
				return syscall.ENOSPC
			}
			return nil
		},
		"MANIFEST": func(op, name string) error {
			if (op == "write" || op == "create" || op == "sync") && (strings.Contains(name, "MANIFEST") || strings.Contains(name, "marker.")) {
				return syscall.EIO
			}
			return nil
		},
		"directory": func(op, name string) error {
			if op == "sync" && strings.HasSuffix(name, "/index") {
				return syscall.EIO
			}
			return nil
		},
	} {
		for _, closed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) { cannotBeWritten(t, failing, closed) })
		}
	}
}

// cannotBeWritten lets the index fail between two blocks; the store is closed when
// it still does, or not.
func cannotBeWritten(t *testing.T, failing func(op, name string) error, closed bool) {
	d := crashfs.New()
	var over atomic.Bool
	var met atomic.Int64
	f := &crashfs.Faulty{FS: d, Fail: ofTheIndex(&over, func(op, name string, _ int) error {
		err := failing(op, name)
		if err != nil {
			met.Add(1)
		}
		return err
	})}
	over.Store(true)
	s, err := disk.Open("/store", disk.Config{FS: f, SegmentSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = within(t, 30*time.Second, "close", s.Close) }()
	put := func(from, to uint64) {
		t.Helper()
		for i := from; i < to; i++ {
			b := block(i, 5000)
			if err := within(t, 30*time.Second, "put", func() error { return s.Put(t.Context(), b) }); err != nil {
				t.Fatalf("put: %v", err)
			}
			if err := within(t, 30*time.Second, "hold", func() error {
				return s.Hold(t.Context(), blockstest.Lease(1, i, b.Cid(), testStart), b.Hash())
			}); err != nil {
				t.Fatalf("hold: %v", err)
			}
		}
	}
	get := func(n uint64) {
		t.Helper()
		for i := range n {
			b := block(i, 5000)
			if err := within(t, 30*time.Second, "get", func() error {
				got, err := s.Get(t.Context(), b.Cid())
				if err == nil && !bytes.Equal(got.RawData(), b.RawData()) {
					err = errors.New("other bytes")
				}
				return err
			}); err != nil {
				t.Fatalf("get: %v", err)
			}
		}
	}
	put(0, 100)
	over.Store(false)
	put(100, 200)
	for end := time.Now().Add(30 * time.Second); met.Load() == 0; { // it flushes in the background
		if time.Now().After(end) {
			t.Fatal("no fault was met")
		}
		time.Sleep(time.Millisecond)
	}
	get(200)
	if !closed {
		put(200, 210)
		over.Store(true)
		put(210, 300)
		get(300)
	}
	if err := within(t, 30*time.Second, "close", s.Close); err != nil {
		t.Errorf("close: %v", err)
	}
	over.Store(true)
	var said bytes.Buffer
	if s, err = disk.Open("/store", disk.Config{FS: f, Log: slog.New(slog.NewTextHandler(&said, nil))}); err != nil {
		t.Fatal(err)
	}
	get(200)
	if !closed {
		get(300)
	}
	if err := within(t, 30*time.Second, "close", s.Close); err != nil {
		t.Errorf("close: %v", err)
	}
	if !closed && strings.Contains(said.String(), "rebuilt") {
		t.Errorf("the index was not kept: %s", said.String())
	}
}

// TestAnIndexThatFallsTooFarBehindRefusesAtOnce has so much wait for an index that
// cannot be written that more would make writers wait. They are told instead; what
// makes room and what reads goes on, and so does all when the index can be written.
func TestAnIndexThatFallsTooFarBehindRefusesAtOnce(t *testing.T) {
	d := crashfs.New()
	var over atomic.Bool
	over.Store(true)
	f := &crashfs.Faulty{FS: d, Fail: ofTheIndex(&over, crashfs.FullAfter(0))}
	s, err := disk.Open("/store", disk.Config{FS: f, SegmentSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = within(t, 30*time.Second, "close", s.Close) }()
	for i := range uint64(400) {
		if err := s.Put(t.Context(), block(i, 5000)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(390) {
		if err := s.Delete(t.Context(), block(i, 5000).Hash()); err != nil {
			t.Fatal(err)
		}
	}
	over.Store(false)
	put := func(i uint64) error {
		start := time.Now()
		err := within(t, 30*time.Second, "put", func() error { return s.Put(t.Context(), block(i, 5000)) })
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("a put took %v", took)
		}
		return err
	}
	tries := 0
	for ; tries < 30; tries++ { // each drops a segment and lets a table wait
		_ = within(t, 30*time.Second, "compact", func() error {
			_, err := s.Compact(t.Context(), nil)
			return err
		})
		if err = put(1000 + uint64(tries)); err != nil {
			break
		}
	}
	if !errors.Is(err, blocks.ErrFull) {
		t.Fatalf("after %d tries to compact: got %v, want ErrFull", tries, err)
	}
	b := block(399, 5000)
	if err := within(t, 30*time.Second, "get", func() error { _, err := s.Get(t.Context(), b.Cid()); return err }); err != nil {
		t.Errorf("get: %v", err)
	}
	if err := within(t, 30*time.Second, "delete", func() error { return s.Delete(t.Context(), b.Hash()) }); err != nil {
		t.Errorf("delete: %v", err)
	}
	over.Store(true)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) { // it is tried again twenty times a second
		if err = put(2000); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it never went on: %v", err)
		}
	}
}
