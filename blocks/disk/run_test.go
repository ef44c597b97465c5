package disk

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// What Run does every few seconds, done at once.
func TestTheScrubComesRoundAndTendingCompacts(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Config{SegmentSize: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var bs []blocks.Block
	for i := range 30 {
		b := blocks.New(cid.Raw, bytes.Repeat([]byte{byte(i), 7}, 1000))
		bs = append(bs, b)
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "seg-00000001.log")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[bytes.Index(data, bs[3].RawData())] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	found := 0
	for i := 1; found == 0; i++ {
		if s.scrub(t.Context()); i > len(bs) {
			t.Fatalf("%d pieces, and the rot was not found", i)
		}
		if st, err := s.Stat(t.Context()); err != nil {
			t.Fatal(err)
		} else if st.Quarantined > 0 {
			found = i
		}
	}
	for range 2 * len(bs) { // round and round
		s.scrub(t.Context())
	}
	for _, b := range bs[:20] {
		if err := s.Delete(t.Context(), b.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	before, err := s.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.tend(t.Context())
	if after, err := s.Stat(t.Context()); err != nil || after.Segments >= before.Segments || after.Blocks != 10 {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	s, err := Open(t.TempDir(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("got %v", err)
	}
}
