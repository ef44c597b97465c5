package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestRecordsAreKeptAsAStoreOfThem(t *testing.T) {
	blockstest.TestRecords(t, openFS(t, vfs.NewMem(), "store"))
}

// Records survive a restart, a compaction and the loss of the index; dropped ones stay dropped.
func TestRecordsSurviveTheIndexAndTheSegments(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	bs := some(8)
	if err := s.Put(t.Context(), bs...); err != nil {
		t.Fatal(err)
	}
	for i, b := range bs {
		for _, value := range []string{"old", "new"} {
			if err := s.PutRecord(t.Context(), blocks.Record{Kind: 1, Key: b.Hash(), Value: []byte(value)}); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 {
			if err := s.DropRecord(t.Context(), 1, b.Hash()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Delete(t.Context(), b.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		for i, b := range bs {
			got, ok, err := s.Record(t.Context(), 1, b.Hash())
			if want := i%2 == 1; err != nil || ok != want || want && string(got) != "new" {
				t.Errorf("%s: record %d: got %q, %v, %v", when, i, got, ok, err)
			}
		}
	}
	check("written")
	for _, when := range []string{"reopened", "compacted", "rebuilt"} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if when == "rebuilt" {
			if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
				t.Fatal(err)
			}
		}
		s = open(t, dir)
		if when == "compacted" {
			if _, err := s.Compact(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		check(when)
	}
}
