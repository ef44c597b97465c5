package dag_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
)

// The roots are those of kubo 0.40.1: ipfs add -Q --cid-version 1 --raw-leaves --max-file-links 4
// --chunker C [--trickle] of the numbers below, one a line.
func TestChunkersCutAsKuboDoes(t *testing.T) {
	var data bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintln(&data, i)
	}
	for _, c := range []struct {
		chunker string
		trickle bool
		root    string
	}{
		{"rabin", false, "bafybeidws6sflqez2iof7wg53vmnujeef2d3itwg7kh5hogn5lyni4opba"},
		{"rabin", true, "bafybeiduynycsezeyh76bsj63ggnp3mtazfa3leglhh6f2k3cblmyhegsq"},
		{"rabin-100000", false, "bafybeicejfiomgsk27es5wzcirnydev2grfvdwqj2mvtizp5ryj74pldym"},
		{"rabin-100000", true, "bafybeicyquk3yyqwpwxx2fugtz24pbvnauylya7kvywbjkwjrg33ipzjki"},
		{"rabin-1000-20000-40000", false, "bafybeicdkp56ztmszeyczyvkspff2dt7dkghesjdqt5z6skovpuljmz7eu"},
		{"rabin-1000-20000-40000", true, "bafybeigkpulesxkwevh4i3ng3jheltferq5xp7wy4lq5y6hmh4qzplvdpy"},
		{"buzhash", false, "bafybeiejmry4en6utxqqf65aivx35axefpw7uowlo23be6avfdbbdig4h4"},
		{"buzhash", true, "bafybeiehzeijyl5hme63sg7v52y5mhjdgtnnlytltv46ejraepzre2zfza"},
		{"", false, "bafybeiby7hdgwfbi6mvlfza5frfzqk3kg4vfnry322yftrfskgcbl26ky4"},
		{"", true, "bafybeibmkwg5zuxvdn5n7mjocpmsk2qp4ytwkjhlwc3ipadu7sfulhtn5q"},
	} {
		l, err := dag.LayoutOf(blocks.PutOptions{Layout: blocks.Layout{Chunker: c.chunker, Trickle: c.trickle, Chunk: 256 << 10, Links: 4, Leaves: blocks.LeavesRaw}})
		if err != nil {
			t.Fatal(err)
		}
		store := blockstore.NewBlockstore(datastore.NewMapDatastore())
		var root cid.Cid
		for b, err := range dag.Split(bytes.NewReader(data.Bytes()), l) {
			if err == nil {
				err = store.Put(t.Context(), b)
			}
			if err != nil {
				t.Fatal(err)
			}
			root = b.Cid()
		}
		if root.String() != c.root {
			t.Errorf("%+v: root %s", c, root)
		}
		f, err := dag.Open(t.Context(), merkledag.NewDAGService(blockservice.New(store, nil)), root)
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []int64{0, 700_001, int64(data.Len()) - 1} {
			if _, err := f.Seek(from, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data.Bytes()[from:]) {
				t.Errorf("%+v: from %d %d bytes, %v", c, from, len(got), err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A byte that is put in changes few leaves, as it does not with pieces of one size.
func TestAChunkerByContentKeepsMostLeaves(t *testing.T) {
	data := blockstest.Random(1, 4<<20)
	shifted := append([]byte{1}, data...)
	shared := func(o blocks.Layout) (both, all int) {
		l, err := dag.LayoutOf(blocks.PutOptions{Layout: o})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[cid.Cid]bool{}
		for b := range dag.Split(bytes.NewReader(data), l) {
			seen[b.Cid()] = true
		}
		for b := range dag.Split(bytes.NewReader(shifted), l) {
			all++
			if seen[b.Cid()] {
				both++
			}
		}
		return both, all
	}
	if both, all := shared(blocks.Layout{Chunker: "buzhash"}); both < all/2 {
		t.Errorf("%d of %d blocks are the same", both, all)
	}
	if both, all := shared(blocks.Layout{Chunk: 256 << 10}); both > 0 {
		t.Errorf("control: %d of %d blocks are the same", both, all)
	}
}

func TestChunkersThatMakeNoSenseAreRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"x", "rabin-", "rabin-0", "rabin-47", "rabin-9999999", "rabin-1-2", "rabin-15-100-200", "rabin-100-100-200", "rabin-100-300-200", "rabin-100-200-9999999", "size-5", "buzhash-1", "rabin--5", "rabin-min:16-avg:32-max:64"}
	for range 100 {
		names = append(names, fmt.Sprintf("rabin-%d-%d-%d", 1000+r.IntN(100), 900+r.IntN(100), r.IntN(1<<20)))
	}
	for _, name := range names {
		if _, err := dag.LayoutOf(blocks.PutOptions{Layout: blocks.Layout{Chunker: name}}); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
