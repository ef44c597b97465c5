package disk_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	mh "github.com/multiformats/go-multihash"
)

// furnished fills a store with blocks, some deleted again, leases and pins.
func furnished(t *testing.T, s *disk.Store) (want []blocks.Block, l blocks.Lease) {
	t.Helper()
	bs := some(60)
	if err := s.Put(t.Context(), bs...); err != nil {
		t.Fatal(err)
	}
	var dead, held []mh.Multihash
	for i, b := range bs {
		if i%3 == 1 {
			dead = append(dead, b.Hash())
		} else {
			want = append(want, b)
		}
	}
	for _, b := range want {
		held = append(held, b.Hash())
	}
	l = blockstest.Lease(1, 1, bs[0].Cid(), testStart)
	other := blockstest.Must(blocks.Check(bs[1].Cid(), bs[1].RawData()))
	if err := errors.Join(
		s.Delete(t.Context(), dead...),
		s.Hold(t.Context(), l, held...),
		s.Pin(t.Context(), blocks.Pin{Root: want[0].Cid(), Name: "a", Size: 7}),
		s.Pin(t.Context(), blocks.Pin{Root: other.Cid()}),
		s.Unpin(t.Context(), other.Cid()),
	); err != nil {
		t.Fatal(err)
	}
	return want, l
}

func TestTheIndexIsMadeAnewFromTheLog(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, dir string) bool{
		"as it was left": func(*testing.T, string) bool { return false },
		"gone":           func(t *testing.T, dir string) bool { return os.RemoveAll(filepath.Join(dir, "index")) == nil },
		"empty": func(t *testing.T, dir string) bool {
			_ = os.RemoveAll(filepath.Join(dir, "index"))
			return os.Mkdir(filepath.Join(dir, "index"), 0o700) == nil
		},
		"a file": func(t *testing.T, dir string) bool {
			_ = os.RemoveAll(filepath.Join(dir, "index"))
			return os.WriteFile(filepath.Join(dir, "index"), []byte("x"), 0o600) == nil
		},
		"of another": func(t *testing.T, dir string) bool {
			other := t.TempDir()
			s := open(t, other)
			furnished(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_ = os.RemoveAll(filepath.Join(dir, "index"))
			return os.Rename(filepath.Join(other, "index"), filepath.Join(dir, "index")) == nil
		},
		"garbage": func(t *testing.T, dir string) bool {
			for _, path := range indexFiles(t, dir) {
				if os.WriteFile(path, blockstest.Random(7, 3000), 0o600) != nil {
					return false
				}
			}
			return true
		},
		"tables lost": func(t *testing.T, dir string) bool {
			for _, path := range indexFiles(t, dir) {
				if strings.HasSuffix(path, ".sst") {
					_ = os.Remove(path)
				}
			}
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			want, l := furnished(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			harmed := harm(t, dir)
			var said bytes.Buffer
			s, err := disk.Open(dir, disk.Config{Log: slog.New(slog.NewTextHandler(&said, nil))})
			if err != nil {
				t.Fatal(err)
			}
			carried(t, s, l, want)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(said.String(), "rebuilt"); got != harmed {
				t.Errorf("rebuilt: %v, want %v; the log says %q", got, harmed, said.String())
			}
		})
	}
}

func indexFiles(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "index", "*"))
	if err != nil || len(paths) < 3 {
		t.Fatalf("got %v, %v", paths, err)
	}
	return paths
}

func TestAFlippedBitInTheIndexIsNoHarm(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	want, l := furnished(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kept := make(map[string][]byte)
	for _, path := range indexFiles(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kept[path] = data
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		for _, path := range indexFiles(t, dir) {
			_ = os.Remove(path)
		}
		for path, data := range kept {
			data = bytes.Clone(data)
			if len(data) > 0 {
				data[r.IntN(len(data))] ^= 1 << r.IntN(8)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, dir)
		carried(t, s, l, want)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRebuildThrowsTheIndexAway(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	want, l := furnished(t, s)
	before, err := s.Stat(t.Context())
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	s, err = disk.Open(dir, disk.Config{Rebuild: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	carried(t, s, l, want)
	after, err := s.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before.Free, after.Free, before.Disk, after.Disk = 0, 0, 0, 0
	before.Dead, after.Dead = 0, 0
	if before != after || after.Blocks != int64(len(want)) || after.Pins != 1 || after.Leases != 1 || after.Version != 2 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestReadOnlyWritesNothingToTheLog(t *testing.T) {
	dir := t.TempDir()
	if _, err := disk.Open(dir, disk.Config{ReadOnly: true}); err == nil {
		t.Error("a store was made")
	}
	s := open(t, dir)
	want, l := furnished(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	size := func() (n int64) {
		for _, path := range segments(t, dir) {
			fi, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			n += fi.Size()
		}
		return n
	}
	was := size()
	s, err := disk.Open(dir, disk.Config{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	carried(t, s, l, want)
	b := block(1000, 10)
	for what, err := range map[string]error{
		"put": s.Put(t.Context(), b), "delete": s.Delete(t.Context(), want[0].Hash()),
		"hold": s.Hold(t.Context(), l, b.Hash()), "unpin": s.Unpin(t.Context(), want[0].Cid()),
	} {
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if now := size(); now != was {
		t.Errorf("the log has %d bytes, had %d", now, was)
	}
}

// TestARebuildRemembersWhatItReadBefore has the index made anew of more
// records than are entered together; what is said of one block stands near and far.
func TestARebuildRemembersWhatItReadBefore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	all := many(70_000, 16, 21)
	near, far := all[:100], all[100:200] // deleted at once, and after all others
	gone := append(append([]blocks.Block(nil), near[:50]...), far[:50]...)
	forget := func(bs []blocks.Block) error {
		var hs []mh.Multihash
		for _, b := range bs {
			hs = append(hs, b.Hash())
		}
		return s.Delete(t.Context(), hs...)
	}
	if err := errors.Join(
		s.Put(t.Context(), all[:200]...), forget(near), s.Put(t.Context(), near[50:]...),
		s.Put(t.Context(), all[200:]...), forget(far), s.Put(t.Context(), far[50:]...),
	); err != nil {
		t.Fatal(err)
	}
	before, err := s.Stat(t.Context())
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	s, err = disk.Open(dir, disk.Config{Rebuild: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	after, err := s.Stat(t.Context())
	before.Free, after.Free, before.Disk, after.Disk = 0, 0, 0, 0
	if err != nil || before != after || after.Blocks != int64(len(all)-len(gone)) {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
	for i, b := range all {
		want := i >= 200 || i%100 >= 50
		if got, err := s.Has(t.Context(), b.Hash()); err != nil || got != want {
			t.Fatalf("block %d: %v, %v, want %v", i, got, err, want)
		}
		if want && i%64 == 0 {
			if _, err := s.Get(t.Context(), b.Cid()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
