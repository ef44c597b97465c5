package blockstest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	mh "github.com/multiformats/go-multihash"
)

func recordKey(kind blocks.RecordKind, key mh.Multihash) string {
	return string(rune(kind)) + string(key)
}

// PutRecord keeps r.
func (m *Mem) PutRecord(ctx context.Context, r blocks.Record) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blockstest: put record: %w", err)
	}
	if len(r.Value) > blocks.MaxRecord || len(r.Key) == 0 {
		return fmt.Errorf("blockstest: put record: %w: %d bytes", blocks.ErrUnfit, len(r.Value))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.recs == nil {
		m.recs = make(map[string]blocks.Record)
	}
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	m.recs[recordKey(r.Kind, r.Key)] = r
	return nil
}

// Record gives the value under kind and key.
func (m *Mem) Record(ctx context.Context, kind blocks.RecordKind, key mh.Multihash) ([]byte, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, fmt.Errorf("blockstest: record: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.recs[recordKey(kind, key)]
	return bytes.Clone(r.Value), ok, nil
}

// DropRecord forgets what stands under kind and key.
func (m *Mem) DropRecord(ctx context.Context, kind blocks.RecordKind, key mh.Multihash) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blockstest: drop record: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.recs, recordKey(kind, key))
	return nil
}

// Records yields every record in order of kind and key.
func (m *Mem) Records(ctx context.Context) iter.Seq2[blocks.Record, error] {
	return each(ctx, func() (out []blocks.Record) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, k := range slices.Sorted(maps.Keys(m.recs)) {
			out = append(out, m.recs[k])
		}
		return out
	})
}

// TestRecords is the contract of [blocks.RecordStore] as a test: every one runs it.
func TestRecords(t *testing.T, s blocks.RecordStore) {
	t.Helper()
	ctx, a, b := t.Context(), raw("a").Hash(), raw("b").Hash()
	get := func(kind blocks.RecordKind, h mh.Multihash, want string) {
		t.Helper()
		got, ok, err := s.Record(ctx, kind, h)
		if err != nil || ok != (want != "") || string(got) != want && ok {
			t.Errorf("record: got %q, %v, %v; want %q", got, ok, err, want)
		}
	}
	put := func(kind blocks.RecordKind, h mh.Multihash, value string) {
		t.Helper()
		if err := s.PutRecord(ctx, blocks.Record{Kind: kind, Key: h, Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	get(1, a, "")
	put(1, a, "old")
	put(1, a, "one")
	put(2, a, "two")
	put(1, b, "three")
	get(1, a, "one")
	get(2, a, "two")
	get(1, b, "three")
	var kinds []blocks.RecordKind
	for _, r := range list(t, s.Records(ctx)) {
		kinds = append(kinds, r.Kind)
	}
	if !slices.Equal(kinds, []blocks.RecordKind{1, 1, 2}) {
		t.Errorf("records: kinds %v, want 1 1 2", kinds)
	}
	for range 2 {
		if err := s.DropRecord(ctx, 1, a); err != nil {
			t.Fatal(err)
		}
	}
	get(1, a, "")
	get(2, a, "two")
	put(1, a, "again")
	get(1, a, "again")
	if err := s.PutRecord(ctx, blocks.Record{Kind: 1, Key: a, Value: make([]byte, blocks.MaxRecord+1)}); err == nil {
		t.Error("a record over the limit was kept")
	}
	get(1, a, "again")
	stops(t, s.Records)
}
