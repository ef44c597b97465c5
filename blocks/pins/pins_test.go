package pins_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/blocks/pins"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// mem is a NodeGetter of blocks in memory.
type mem map[string]blocks.Block

func (m mem) Get(_ context.Context, c cid.Cid) (ipld.Node, error) {
	b, ok := m[string(c.Hash())]
	if !ok {
		return nil, ipld.ErrNotFound{Cid: c}
	}
	if c.Type() == cid.Raw {
		return merkledag.DecodeRawBlock(b)
	}
	return merkledag.DecodeProtobufBlock(b)
}

func (m mem) GetMany(context.Context, []cid.Cid) <-chan *ipld.NodeOption { panic("not asked for") }

func put(t *testing.T, m mem, bs iter.Seq2[blocks.Block, error]) (root cid.Cid) {
	t.Helper()
	for b, err := range bs {
		if err != nil {
			t.Fatal(err)
		}
		m[string(b.Hash())] = b
		root = b.Cid()
	}
	return root
}

func TestMarkFindsEveryBlockBelowEveryRoot(t *testing.T) {
	m := mem{}
	one := put(t, m, dag.Split(strings.NewReader(strings.Repeat("a long file ", 1<<18)), dag.Layout{}))
	two := put(t, m, dag.Split(strings.NewReader("a short file"), dag.Layout{}))
	want := len(m)
	put(t, m, dag.Split(strings.NewReader(string(blockstest.Random(1, 5<<20))), dag.Layout{})) // not pinned
	set, err := pins.Mark(t.Context(), m, []cid.Cid{one, two, two}, nil)
	if err != nil {
		t.Fatal(err)
	}
	marked := 0
	for h := range m {
		if set.Has([]byte(h)) {
			marked++
		}
	}
	if marked != want || set.Len() != want {
		t.Errorf("%d of %d blocks are marked, the set has %d; want %d", marked, len(m), set.Len(), want)
	}
}

func TestAGapIsNamed(t *testing.T) {
	m := mem{}
	root := put(t, m, dag.Split(strings.NewReader(string(blockstest.Random(1, 3<<20))), dag.Layout{}))
	delete(m, string(root.Hash()))
	_, err := pins.Mark(t.Context(), m, []cid.Cid{root}, nil)
	var gap *pins.GapError
	if !errors.As(err, &gap) || !gap.Root.Equals(root) || !strings.Contains(err.Error(), "missing") {
		t.Errorf("err = %v, want a gap under %s", err, root)
	}
}

func TestMarkStopsWithItsContext(t *testing.T) {
	m := mem{}
	root := put(t, m, dag.Split(strings.NewReader("x"), dag.Layout{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var gap *pins.GapError
	if _, err := pins.Mark(ctx, ctxed{m}, []cid.Cid{root}, nil); !errors.Is(err, context.Canceled) || errors.As(err, &gap) {
		t.Errorf("err = %v, want context.Canceled and no gap", err)
	}
}

type ctxed struct{ mem }

func (c ctxed) Get(ctx context.Context, id cid.Cid) (ipld.Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.mem.Get(ctx, id)
}

// A set knows what was put into it, whatever the length of the hash.
func TestSetsKnowShortHashes(t *testing.T) {
	var s pins.Set
	if s.Has([]byte{0x12, 0x01, 0x07}) {
		t.Error("the empty set has something")
	}
	s.Add([]byte{0x12, 0x01, 0x07})
	if !s.Has([]byte{0x12, 0x01, 0x07}) || s.Has([]byte{0x12, 0x01, 0x08}) {
		t.Error("a short hash is not told from another")
	}
}
