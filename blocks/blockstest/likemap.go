package blockstest

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"
)

// storeLikeMap draws sequences of calls and compares s with a map after each.
func storeLikeMap(t *testing.T, s blocks.Store) {
	var pool []blocks.Block
	for i := range 8 {
		pool = append(pool, blocks.New(cid.Raw, Random(uint64(i), i*i)))
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{ctx: t, s: s, want: make(map[string][]byte), pick: rapid.SampledFrom(pool)}
		for _, b := range pool {
			if err := s.Delete(t.Context(), b.Hash()); err != nil {
				rt.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": m.put, "delete": m.delete, "read": m.read, "": m.check,
		})
	})
}

type machine struct {
	ctx  *testing.T // for its context alone
	s    blocks.Store
	want map[string][]byte
	pick *rapid.Generator[blocks.Block]
}

func (m *machine) put(t *rapid.T) {
	bs := rapid.SliceOfN(m.pick, 0, 4).Draw(t, "blocks")
	if err := m.s.Put(m.ctx.Context(), bs...); err != nil {
		t.Fatal(err)
	}
	for _, b := range bs {
		m.want[string(b.Hash())] = b.RawData()
	}
}

func (m *machine) delete(t *rapid.T) {
	var hs []mh.Multihash
	for _, b := range rapid.SliceOfN(m.pick, 0, 3).Draw(t, "blocks") {
		hs = append(hs, b.Hash())
		delete(m.want, string(b.Hash()))
	}
	if err := m.s.Delete(m.ctx.Context(), hs...); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) read(t *rapid.T) {
	b := m.pick.Draw(t, "block")
	want, there := m.want[string(b.Hash())]
	got, err := m.s.Get(m.ctx.Context(), b.Cid())
	if there != (err == nil) || !there && !blocks.IsNotFound(err) {
		t.Fatalf("get: got %v, want it there: %v", err, there)
	}
	if there && !bytes.Equal(got.RawData(), want) {
		t.Fatalf("get: got %d bytes, want %d", len(got.RawData()), len(want))
	}
	if has, err := m.s.Has(m.ctx.Context(), b.Hash()); has != there || err != nil {
		t.Fatalf("has: got %v, %v; want %v", has, err, there)
	}
	if n, err := m.s.Size(m.ctx.Context(), b.Hash()); there && (n != len(want) || err != nil) {
		t.Fatalf("size: got %d, %v; want %d", n, err, len(want))
	}
}

func (m *machine) check(t *rapid.T) {
	var got []string
	for h, err := range m.s.All(m.ctx.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(h))
	}
	if want := slices.Sorted(maps.Keys(m.want)); !slices.Equal(got, want) {
		t.Fatalf("all: got %d keys, want %d", len(got), len(want))
	}
}
