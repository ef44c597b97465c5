package disk_test

import (
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk"
)

// What was read last was used last, also after the store was opened again.
func TestUsedTellsWhatWasReadLast(t *testing.T) {
	dir := t.TempDir()
	s, err := disk.Open(dir, disk.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var bs []blocks.Block
	for i := range uint64(3) {
		bs = append(bs, block(i, 1000))
		if err := s.Put(t.Context(), bs[i]); err != nil {
			t.Fatal(err)
		}
	}
	used := func(i int) uint64 {
		t.Helper()
		n, err := s.Used(t.Context(), bs[i].Hash())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if !(used(0) < used(1) && used(1) < used(2)) {
		t.Errorf("put at %d, %d, %d; want that order", used(0), used(1), used(2))
	}
	if _, err := s.Get(t.Context(), bs[0].Cid()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !(used(1) < used(2) && used(2) < used(0)) {
			t.Errorf("used at %d, %d, %d; want the first, which was read, last", used(0), used(1), used(2))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = disk.Open(dir, disk.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Used(t.Context(), block(9, 9).Hash()); !blocks.IsNotFound(err) {
		t.Errorf("of a block that is not here: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
