package disk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
)

func open(t *testing.T, dir string) *disk.Store {
	t.Helper()
	return openFS(t, nil, dir)
}

func openFS(t *testing.T, fs vfs.FS, dir string) *disk.Store {
	t.Helper()
	s, err := disk.Open(dir, disk.Config{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

var testStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func block(seed uint64, n int) blocks.Block { return blocks.New(cid.Raw, blockstest.Random(seed, n)) }

// segments lists the files of the log.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "seg-*.log"))
	if err != nil || len(found) == 0 {
		t.Fatalf("got segments %v, %v; want some", found, err)
	}
	return found
}

// damage changes the bytes of b where they stand in the log.
func damage(t *testing.T, dir string, b blocks.Block, change func([]byte)) {
	t.Helper()
	n := 0
	for _, path := range segments(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; n++ {
			at := bytes.Index(data[i:], b.RawData())
			if at < 0 {
				break
			}
			i += at
			change(data[i : i+len(b.RawData())])
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(data, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n == 0 {
		t.Fatal("the block is nowhere in the log")
	}
}

func TestIsAStore(t *testing.T) {
	blockstest.TestStore(t, func(t *testing.T) blocks.Store { return open(t, t.TempDir()) })
}

func TestIsAStoreInMemory(t *testing.T) {
	blockstest.TestStore(t, func(t *testing.T) blocks.Store { return openFS(t, vfs.NewMem(), "store") })
}

func TestIsALedgerInMemory(t *testing.T) {
	blockstest.TestLedger(t, func(t *testing.T) blocks.Ledger { return openFS(t, vfs.NewMem(), "store") })
}

func TestIsALedger(t *testing.T) {
	blockstest.TestLedger(t, func(t *testing.T) blocks.Ledger { return open(t, t.TempDir()) })
}

func TestReopeningKeepsAll(t *testing.T) {
	dir, b := filepath.Join(t.TempDir(), "made", "for", "it"), block(1, 5000)
	now := time.Now()
	l := blockstest.Lease(1, 1, b.Cid(), now)
	for i := range 3 {
		s := open(t, dir)
		if i == 0 {
			if err := errors.Join(s.Put(t.Context(), b), s.Hold(t.Context(), l, b.Hash()), s.Pin(t.Context(), blocks.Pin{Root: b.Cid()})); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Get(t.Context(), b.Cid()); err != nil {
			t.Fatal(err)
		}
		if n := s.Count(); n != 1 {
			t.Errorf("%d held blocks, want 1", n)
		}
		ls, err := s.Leases(t.Context(), b.Hash())
		if err != nil || len(ls) != 1 || ls[0].Valid(now) != nil {
			t.Fatalf("got %d leases, %v; want the one", len(ls), err)
		}
		for p, err := range s.Pins(t.Context()) {
			if err != nil || p.Root != b.Cid() {
				t.Fatalf("got pin of %s, %v", p.Root, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnlyTheOwnerMayLook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	open(t, dir)
	for name, want := range map[string]fs.FileMode{".": 0o700, "index": 0o700, "lock": 0o600, "version": 0o600} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v; want %v", name, fi.Mode().Perm(), err, want)
		}
	}
}

func TestTheSecondToOpenIsToldWhoWasFirst(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	start := time.Now()
	_, err := disk.Open(dir, disk.Config{})
	var locked *blocks.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || locked.Dir != dir {
		t.Fatalf("got %v, want a LockedError with pid %d", err, os.Getpid())
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestANewerFormatIsRefusedUntouched(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "version")
	if err := os.WriteFile(path, []byte("3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the lock is let go of each time
		_, err := disk.Open(dir, disk.Config{})
		var newer *blocks.NewerError
		if !errors.As(err, &newer) || newer.Version != 3 || newer.Dir != dir {
			t.Fatalf("got %v, want a NewerError", err)
		}
	}
	for _, text := range []string{"", "one", "0"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := disk.Open(dir, disk.Config{}); err == nil {
			t.Errorf("version %q was taken", text)
			_ = s.Close()
		}
	}
}

func TestAFlippedBitIsNeverGiven(t *testing.T) {
	dir, b := t.TempDir(), block(1, 3000)
	s := open(t, dir)
	if err := s.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]func([]byte){
		"flipped": func(d []byte) { d[1234] ^= 4 },
		"emptied": func(d []byte) { clear(d) },
	} {
		damage(t, dir, b, wrong)
		if got, err := s.Get(t.Context(), b.Cid()); !errors.Is(err, blocks.ErrMismatch) || got.RawData() != nil {
			t.Fatalf("%s: get gave %d bytes, %v; want ErrMismatch", name, len(got.RawData()), err)
		}
		err := s.View(t.Context(), b.Hash(), func([]byte) error { t.Errorf("%s: view lent it", name); return nil })
		if !errors.Is(err, blocks.ErrMismatch) {
			t.Fatalf("%s: view gave %v, want ErrMismatch", name, err)
		}
		if ok, err := s.Has(t.Context(), b.Hash()); ok || err != nil {
			t.Errorf("%s: has gave %v, %v; want false", name, ok, err)
		}
		if err := s.Put(t.Context(), b); err != nil { // mends it
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), b.Cid()); err != nil {
			t.Fatalf("%s: not mended: %v", name, err)
		}
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s, b := open(t, t.TempDir()), block(1, 10)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), b.Cid())
	_, err2 := s.Leases(t.Context(), b.Hash())
	for _, err := range []error{err, err2, s.Put(t.Context(), b), s.Delete(t.Context(), b.Hash()), s.Unpin(t.Context(), b.Cid())} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("got %v, want fs.ErrClosed", err)
		}
	}
	for _, err := range s.All(t.Context()) {
		if !errors.Is(err, fs.ErrClosed) || !strings.HasPrefix(err.Error(), "disk: ") {
			t.Errorf("got %v, want fs.ErrClosed", err)
		}
	}
}
