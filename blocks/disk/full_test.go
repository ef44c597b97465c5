//go:build linux

package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
)

// small mounts a disk of some megabytes.
func small(t *testing.T, megabytes int) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIP full disk: needs root to mount one")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(megabytes)+"m"); err != nil {
		t.Skipf("SKIP full disk: needs root to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill puts blocks until there is an error, and answers what was promised to be there.
func fill(t *testing.T, s *disk.Store) (kept []blocks.Block, err error) {
	t.Helper()
	for i := range uint64(1000) {
		b := block(i, 256<<10)
		if err := s.Put(t.Context(), b); err != nil {
			return kept, err
		}
		kept = append(kept, b)
	}
	t.Fatal("the disk never got full")
	return nil, nil
}

func TestAFullDiskLosesNothing(t *testing.T) {
	for _, reserve := range []int64{1, 16 << 20} { // the disk itself says so; we do before
		t.Run(fmt.Sprint(reserve), func(t *testing.T) {
			s, err := disk.Open(filepath.Join(small(t, 48), "store"), disk.Config{Reserve: reserve})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			kept, err := fill(t, s)
			if !errors.Is(err, blocks.ErrFull) {
				t.Fatalf("got %v, want ErrFull", err)
			}
			if len(kept) == 0 {
				t.Fatal("nothing fitted")
			}
			for _, b := range kept {
				if got, err := s.Get(t.Context(), b.Cid()); err != nil || !bytes.Equal(got.RawData(), b.RawData()) {
					t.Fatalf("%s was lost: %v", b.Cid(), err)
				}
			}
			if reserve > 1 { // the log has not failed: what is here already needs no room
				if err := s.Put(t.Context(), kept...); err != nil {
					t.Errorf("put again: %v", err)
				}
			}
			n := 0
			for _, err := range s.All(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != len(kept) {
				t.Errorf("got %d blocks, want the %d that were promised", n, len(kept))
			}
			if err := s.Delete(t.Context(), kept[0].Hash(), kept[1].Hash()); err != nil {
				t.Fatal(err)
			}
			if err := s.Put(t.Context(), kept[0]); err != nil {
				t.Errorf("no room for what was there before: %v", err)
			}
		})
	}
}

func TestTheLedgerGoesOnWhenBlocksNoLongerFit(t *testing.T) {
	s, err := disk.Open(filepath.Join(small(t, 48), "store"), disk.Config{Reserve: 24 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kept, err := fill(t, s)
	if !errors.Is(err, blocks.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	for i, b := range kept {
		if err := s.Hold(t.Context(), blockstest.Lease(1, uint64(i), b.Cid(), testStart), b.Hash()); err != nil {
			t.Fatalf("hold %d: %v", i, err)
		}
	}
}

func TestTheLedgerSaysItIsFullInsteadOfDying(t *testing.T) {
	dir := small(t, 48)
	s, err := disk.Open(filepath.Join(dir, "store"), disk.Config{Reserve: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.WriteFile(filepath.Join(dir, "others"), make([]byte, 40<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	b := block(1, 10)
	err = s.Hold(t.Context(), blockstest.Lease(1, 1, b.Cid(), testStart), b.Hash())
	if !errors.Is(err, blocks.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	if err := os.Remove(filepath.Join(dir, "others")); err != nil {
		t.Fatal(err)
	}
	if err := s.Hold(t.Context(), blockstest.Lease(1, 1, b.Cid(), testStart), b.Hash()); err != nil {
		t.Fatalf("with room again: %v", err)
	}
}

// A disk that fills up behind our back, so that the write itself fails.
func TestALogThatFailedGoesOnWhenThereIsRoom(t *testing.T) {
	dir := small(t, 16)
	s, err := disk.Open(filepath.Join(dir, "store"), disk.Config{Reserve: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.WriteFile(filepath.Join(dir, "others"), make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want a full disk", err)
	}
	var first error
	var held []blocks.Block
	for i := uint64(0); i < 20_000 && first == nil; i++ {
		b := block(i, 10)
		if first = s.Hold(t.Context(), blockstest.Lease(1, i, b.Cid(), testStart), b.Hash()); first == nil {
			held = append(held, b)
		}
	}
	if !errors.Is(first, blocks.ErrFull) {
		t.Fatalf("got %v, want ErrFull", first)
	}
	b := block(1<<20, 10)
	l := blockstest.Lease(1, 1, b.Cid(), testStart)
	if err := s.Hold(t.Context(), l, b.Hash()); !errors.Is(err, blocks.ErrFull) {
		t.Fatalf("got %v, want ErrFull as long as there is no room", err)
	}
	if err := os.Remove(filepath.Join(dir, "others")); err != nil {
		t.Fatal(err)
	}
	if err := s.Hold(t.Context(), l, b.Hash()); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	for range 2 {
		for _, b := range append(held, b) {
			if ls, err := s.Leases(t.Context(), b.Hash()); err != nil || len(ls) != 1 {
				t.Fatalf("got %d leases, %v; want what was promised", len(ls), err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = disk.Open(filepath.Join(dir, "store"), disk.Config{Reserve: 4}); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
}
