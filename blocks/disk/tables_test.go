package disk_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks/disk"
)

// Every time that a store is closed its index gets a table more. However often that is, they
// are brought together: also those that were there before it was opened, which nothing but
// opening it makes pebble look at.
func TestTheTablesOfTheIndexAreBroughtTogether(t *testing.T) {
	dir := t.TempDir()
	tables := func() int {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(dir, "index", "*.sst"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	const rounds = 40
	for i := range rounds {
		s, err := disk.Open(dir, disk.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for j := range 20 {
			if err := s.Put(t.Context(), block(uint64(100*i+j), 100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FIGURE %d tables after a store was opened and closed %d times", tables(), rounds)
	s, err := disk.Open(dir, disk.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(20 * time.Second); tables() >= 10 && time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
	}
	if n := tables(); n >= 10 {
		t.Errorf("%d tables stay", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
