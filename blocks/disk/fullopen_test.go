//go:build linux

package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk"
)

// A daemon that is started again on a disk that is full, without one free byte,
// must be able to read and to delete, or nobody can make room.
func TestAStoreIsOpenedOnAFullDisk(t *testing.T) {
	for _, killed := range []bool{false, true} { // then the index is behind the log
		dir := small(t, 64)
		path := filepath.Join(dir, "store")
		s, err := disk.Open(path, disk.Config{Reserve: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		var kept []blocks.Block
		for i := range uint64(100) {
			kept = append(kept, block(i, 100<<10))
		}
		if err := s.Put(t.Context(), kept...); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if killed {
			if err := os.RemoveAll(filepath.Join(path, "index")); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "others"), make([]byte, 64<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v, want a full disk", err)
		}
		again, err := disk.Open(path, disk.Config{Reserve: 4 << 20})
		if err != nil {
			t.Fatalf("index removed %v: %v", killed, err)
		}
		defer again.Close()
		s = again
		for _, b := range kept {
			if got, err := s.Get(t.Context(), b.Cid()); err != nil || !bytes.Equal(got.RawData(), b.RawData()) {
				t.Fatalf("get: %v", err)
			}
		}
		if err := s.Put(t.Context(), block(1<<20, 100<<10)); !errors.Is(err, blocks.ErrFull) {
			t.Errorf("put: got %v, want ErrFull", err)
		}
		for _, b := range kept[:90] {
			if err := s.Delete(t.Context(), b.Hash()); err != nil {
				t.Fatalf("delete: %v", err)
			}
		}
		if err := s.Put(t.Context(), block(1<<20, 100<<10)); err != nil {
			t.Errorf("put with room: %v", err)
		}
	}
}
