package dag_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// metered counts the blocks that are read, and takes a time for each, as a disk does:
// one after the other for each that asks.
type metered struct {
	ipld.NodeGetter
	each time.Duration

	mu    sync.Mutex
	reads map[cid.Cid]int // guarded by mu
}

func (m *metered) Get(ctx context.Context, c cid.Cid) (ipld.Node, error) {
	time.Sleep(m.each)
	m.mu.Lock()
	m.reads[c]++
	m.mu.Unlock()
	return m.NodeGetter.Get(ctx, c)
}

func (m *metered) GetMany(ctx context.Context, cs []cid.Cid) <-chan *ipld.NodeOption {
	out := make(chan *ipld.NodeOption, len(cs)) // room for all: nobody waits
	go func() {                                 // ends with the last
		defer close(out)
		for _, c := range cs {
			if ctx.Err() != nil {
				return
			}
			n, err := m.Get(ctx, c)
			out <- &ipld.NodeOption{Node: n, Err: err}
		}
	}()
	return out
}

func (m *metered) total() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, times := range m.reads {
		n += times
	}
	return n
}

// large is a directory of n small files, and how many blocks of its own it has.
func large(t *testing.T, st *blockstest.Mem, n int) (c cid.Cid, shards int) {
	t.Helper()
	in := tree{}
	for i := range n {
		in[fmt.Sprintf("%06d", i)] = file(fmt.Sprint(i))
	}
	bs := build(t, st, in.items(in.sorted()), dag.Layout{})
	met := map[cid.Cid]bool{}
	for _, b := range bs {
		if b.Cid().Type() != cid.DagProtobuf || met[b.Cid()] {
			continue
		}
		met[b.Cid()] = true
		nd, err := blockstest.Nodes(st).Get(t.Context(), b.Cid())
		if err != nil {
			t.Fatal(err)
		}
		if fsn, err := unixfs.ExtractFSNode(nd); err == nil && fsn.Type() == unixfs.THAMTShard {
			shards++
		}
	}
	return root(bs), shards
}

// A listing reads each block of the directory once, and none of what is in it: files of
// one block say in their parent what they are.
func TestAListingReadsTheBlocksOfTheDirectoryAndNoOther(t *testing.T) {
	st, n := new(blockstest.Mem), 20_000
	c, shards := large(t, st, n)
	m := &metered{NodeGetter: blockstest.Nodes(st), reads: map[cid.Cid]int{}}
	entries := 0
	for _, err := range dag.List(t.Context(), m, c) {
		if err != nil {
			t.Fatal(err)
		}
		entries++
	}
	if entries != n || m.total() != shards || len(m.reads) != shards || shards < 1000 {
		t.Errorf("%d entries with %d reads of %d blocks; want %d with one of each of %d", entries, m.total(), len(m.reads), n, shards)
	}
}

// Where a read takes its time, several are under way.
func TestAListingReadsSideBySide(t *testing.T) {
	st := new(blockstest.Mem)
	c, shards := large(t, st, 20_000)
	synctest.Test(t, func(t *testing.T) {
		m := &metered{NodeGetter: blockstest.Nodes(st), each: time.Millisecond, reads: map[cid.Cid]int{}}
		began := time.Now()
		for _, err := range dag.List(t.Context(), m, c) {
			if err != nil {
				t.Fatal(err)
			}
		}
		took, alone := time.Since(began), time.Duration(shards)*m.each
		t.Logf("%d blocks of %s in %s: %.1f at a time", shards, m.each, took, float64(alone)/float64(took))
		if took > alone/3 {
			t.Errorf("took %s, want a third of the %s of one after the other", took, alone)
		}
	})
}

// Who stops in the middle has soon paid, and leaves nothing behind.
func TestAListingThatIsGivenUpReadsNoFurther(t *testing.T) {
	st := new(blockstest.Mem)
	c, shards := large(t, st, 20_000)
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		m := &metered{NodeGetter: blockstest.Nodes(st), each: time.Millisecond, reads: map[cid.Cid]int{}}
		for range dag.List(t.Context(), m, c) {
			break
		}
		if n := m.total(); n > 200 || n == 0 {
			t.Errorf("%d of %d blocks for the first entry", n, shards)
		}
		synctest.Wait()
		after := m.total()
		if time.Sleep(time.Second); m.total() != after {
			t.Error("read on after the caller had stopped")
		}
	})
}
