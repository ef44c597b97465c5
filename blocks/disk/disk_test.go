package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/ipfs/go-cid"
)

func open(t *testing.T, dir string) *disk.Store {
	t.Helper()
	s, err := disk.Open(dir, disk.Config{})
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

// fileOf finds the file of the only block under dir.
func fileOf(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "flatfs", "*", "*.data"))
	if err != nil || len(found) != 1 {
		t.Fatalf("got files %v, %v; want one", found, err)
	}
	return found[0]
}

func TestIsAStore(t *testing.T) {
	blockstest.TestStore(t, func(t *testing.T) blocks.Store { return open(t, t.TempDir()) })
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
	for name, want := range map[string]fs.FileMode{".": 0o700, "flatfs": 0o700, "ledger": 0o700, "lock": 0o600, "version": 0o600} {
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
	if err := os.WriteFile(path, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the lock is let go of each time
		_, err := disk.Open(dir, disk.Config{})
		var newer *blocks.NewerError
		if !errors.As(err, &newer) || newer.Version != 2 || newer.Dir != dir {
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
	path := fileOf(t, dir)
	for name, wrong := range map[string]func([]byte) []byte{
		"flipped":    func(d []byte) []byte { d[1234] ^= 4; return d },
		"cut":        func(d []byte) []byte { return d[:2999] },
		"emptied":    func([]byte) []byte { return nil },
		"lengthened": func(d []byte) []byte { return append(d, 0) },
	} {
		if err := os.WriteFile(path, wrong(slices.Clone(b.RawData())), 0o600); err != nil {
			t.Fatal(err)
		}
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

func TestLeftoversOfACrashAreIgnored(t *testing.T) {
	dir, b := t.TempDir(), block(1, 3000)
	s := open(t, dir)
	if err := s.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	shard := filepath.Dir(fileOf(t, dir))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		filepath.Join(dir, "flatfs", ".temp", "temp-1234"),
		filepath.Join(shard, "put-1234"),
		filepath.Join(shard, "README"),
		filepath.Join(shard, "NOTAMULTIHASH.data"),
		filepath.Join(dir, "version.tmp1234"),
	} {
		if err := os.WriteFile(path, []byte("half a bl"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "flatfs.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	n := 0
	for h, err := range s.All(t.Context()) {
		if err != nil || string(h) != string(b.Hash()) {
			t.Fatalf("got %x, %v", h, err)
		}
		n++
	}
	if n != 1 {
		t.Fatalf("got %d blocks, want 1", n)
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
