package dag_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"
)

// asked counts what is got by CID.
type asked struct {
	ipld.NodeGetter
	n map[cid.Cid]int
}

func (a asked) Get(ctx context.Context, c cid.Cid) (ipld.Node, error) {
	a.n[c]++
	return a.NodeGetter.Get(ctx, c)
}

func walk(t failer, ng ipld.NodeGetter, root cid.Cid) (out []dag.Visit) {
	t.Helper()
	for v, err := range dag.Walk(ctx(t), ng, root) {
		if err != nil {
			t.Fatalf("walk: %v", err)
		}
		out = append(out, v)
	}
	return out
}

func TestWalkYieldsEachBlockOnceTheRootFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := tiny
		l.CIDv0 = rapid.Bool().Draw(t, "v0")
		size := rapid.SampledFrom(blockstest.Sizes(64, 4)).Draw(t, "size")
		data := blockstest.Random(1, size.N)
		if rapid.Bool().Draw(t, "all the same") {
			clear(data)
		}
		st := new(blockstest.Mem)
		bs := split(t, st, data, l)
		want := make(map[cid.Cid]int64)
		for _, b := range bs {
			want[b.Cid()] = int64(len(b.RawData()))
		}
		a := asked{blockstest.Nodes(st), make(map[cid.Cid]int)}
		got := walk(t, a, root(bs))
		if len(got) != len(want) || got[0].CID != root(bs) {
			t.Fatalf("%s: got %d blocks, want %d with the root first", size.Why, len(got), len(want))
		}
		for _, v := range got {
			if n, ok := want[v.CID]; !ok || n != v.Size {
				t.Fatalf("%s: got %s of %d bytes twice, unknown, or not of %d", size.Why, v.CID, v.Size, n)
			}
			delete(want, v.CID)
			if times := a.n[v.CID]; times > 1 || times == 1 && v.CID.Type() == cid.Raw && v.CID != root(bs) {
				t.Fatalf("%s: %s was got %d times", size.Why, v.CID, times)
			}
		}
	})
}

// The same bytes as a file's content and as a directory: the directory's
// children must not be lost.
func TestWalkFollowsBytesThatWereFirstALeaf(t *testing.T) {
	st := new(blockstest.Mem)
	file := root(split(t, st, []byte("hello"), dag.Layout{}))
	inner := dir(t, st, map[string]cid.Cid{"file": file})
	top := dir(t, st, map[string]cid.Cid{"a": blocks.Key(inner.Hash()), "b": inner, "c": inner})
	got := walk(t, blockstest.Nodes(st), top)
	if len(got) != 3 || got[1].CID != blocks.Key(inner.Hash()) || got[2].CID != file {
		t.Errorf("got %v, want the top, the inner one once, and the file", got)
	}
}

func TestWalkLeavesOutDataInCIDs(t *testing.T) {
	h, err := mh.Sum([]byte("in here"), mh.IDENTITY, -1)
	if err != nil {
		t.Fatal(err)
	}
	st := new(blockstest.Mem)
	top := dir(t, st, map[string]cid.Cid{"a": cid.NewCidV1(cid.Raw, h)})
	if got := walk(t, blockstest.Nodes(st), top); len(got) != 1 {
		t.Errorf("got %v, want the directory only", got)
	}
	if got := walk(t, blockstest.Nodes(st), cid.NewCidV1(cid.Raw, h)); len(got) != 0 {
		t.Errorf("got %v, want nothing", got)
	}
}

// chain is depth directories inside each other.
func chain(t *testing.T, st *blockstest.Mem, depth int) cid.Cid {
	t.Helper()
	c := dir(t, st, nil)
	for range depth {
		c = dir(t, st, map[string]cid.Cid{"d": c})
	}
	return c
}

func TestWalkStopsAtItsLimits(t *testing.T) {
	st := new(blockstest.Mem)
	if got := walk(t, blockstest.Nodes(st), chain(t, st, 1024)); len(got) != 1025 {
		t.Errorf("got %d blocks, want 1025", len(got))
	}
	huge := merkledag.NodeWithData(nil)
	if err := huge.AddRawLink("", &ipld.Link{Cid: blocks.New(cid.Raw, nil).Cid(), Size: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	for want, root := range map[string]cid.Cid{
		"deeper than 1024":    chain(t, st, 1025),
		"1099511627776 bytes": add(t, st, huge),
		"codec git-raw":       dir(t, st, map[string]cid.Cid{"a": blocks.New(cid.GitRaw, []byte{0xa0}).Cid()}),
		"not find":            dir(t, st, map[string]cid.Cid{"a": blocks.New(cid.DagProtobuf, []byte("gone")).Cid()}),
	} {
		var last error
		for _, err := range dag.Walk(t.Context(), blockstest.Nodes(st), root) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), want) {
			t.Errorf("got %v, want %q", last, want)
		}
	}
}

func TestWalkStopsWithItsCaller(t *testing.T) {
	st := new(blockstest.Mem)
	a := asked{blockstest.Nodes(st), make(map[cid.Cid]int)}
	for range dag.Walk(t.Context(), a, root(split(t, st, blockstest.Random(1, 5000), tiny))) {
		break
	}
	if len(a.n) != 1 {
		t.Errorf("got %d blocks, want the root only: %s", len(a.n), fmt.Sprint(a.n))
	}
}
