package dag_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	pb "github.com/ipfs/boxo/ipld/unixfs/pb"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"
)

// line is a getter that takes a while for each block and knows how many it is asked for.
type line struct {
	ipld.NodeGetter

	mu    sync.Mutex
	takes time.Duration
	now   int
	most  int
	asked int
}

func (l *line) Get(ctx context.Context, c cid.Cid) (ipld.Node, error) {
	l.mu.Lock()
	l.now, l.asked = l.now+1, l.asked+1
	l.most = max(l.most, l.now)
	takes := l.takes
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.now--
		l.mu.Unlock()
	}()
	select {
	case <-time.After(takes):
		return l.NodeGetter.Get(ctx, c)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// counts is how many it is asked for now, was asked for at most at one time, and was asked
// for in all.
func (l *line) counts() (now, most, asked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, l.most, l.asked
}

// mixed puts a tree into st whose leaves are raw, dag-pb or empty, at any depth.
func mixed(t *rapid.T, st *blockstest.Mem, depth int) (ipld.Node, []byte) {
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		data := blockstest.Random(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 90).Draw(t, "length"))
		var n ipld.Node = merkledag.NewRawNode(data)
		if rapid.Bool().Draw(t, "in an envelope") {
			fsn := unixfs.NewFSNode(leafType(rapid.Bool().Draw(t, "as a file")))
			fsn.SetData(data)
			n = nodeOf(t, fsn, nil)
		}
		keep(t, st, n)
		return n, data
	}
	var all []byte
	var links []*ipld.Link
	fsn := unixfs.NewFSNode(unixfs.TFile)
	for range rapid.IntRange(1, 5).Draw(t, "children") {
		n, data := mixed(t, st, depth-1)
		all = append(all, data...)
		links = append(links, &ipld.Link{Cid: n.Cid(), Size: uint64(len(n.RawData()))})
		fsn.AddBlockSize(uint64(len(data)))
	}
	n := nodeOf(t, fsn, links)
	keep(t, st, n)
	return n, all
}

// leafType is one of the two types of a leaf.
func leafType(file bool) pb.Data_DataType {
	if file {
		return unixfs.TFile
	}
	return unixfs.TRaw
}

func nodeOf(t *rapid.T, fsn *unixfs.FSNode, links []*ipld.Link) ipld.Node {
	data, err := fsn.GetBytes()
	if err != nil {
		t.Fatal(err)
	}
	n := merkledag.NodeWithData(data)
	if err := n.SetLinks(links); err != nil {
		t.Fatal(err)
	}
	return n
}

func keep(t *rapid.T, st *blockstest.Mem, n ipld.Node) {
	b, err := blocks.Check(n.Cid(), n.RawData())
	if err == nil {
		err = st.Put(context.Background(), b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever is done with a file of any shape, with whatever window and with whatever faults of
// its blocks, the bytes, the offsets and the end are those of the same bytes in memory.
func TestAFileBehavesLikeItsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st, broken := new(blockstest.Mem), errors.New("broken")
		top, data := mixed(t, st, rapid.IntRange(0, 4).Draw(t, "depth"))
		var mu sync.Mutex
		faults := rapid.IntRange(0, 6).Draw(t, "faults")
		faulty := &blockstest.Faulty{Store: st, Fail: func(op string, h mh.Multihash) error {
			mu.Lock()
			defer mu.Unlock()
			if op != "get" || faults == 0 || bytes.Equal(h, top.Cid().Hash()) {
				return nil
			}
			faults--
			return broken
		}}
		f, err := dag.OpenIn(context.Background(), blockstest.Nodes(faulty), top.Cid(),
			int64(rapid.IntRange(1, 2000).Draw(t, "bytes")), rapid.IntRange(1, 20).Draw(t, "blocks"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := bytes.NewReader(data)
		same := func(what string, got []byte, gerr error, should []byte, werr error) {
			t.Helper()
			if errors.Is(gerr, broken) { // as much as it gave must be right, and the next try goes on there
				if !bytes.HasPrefix(should, got) {
					t.Fatalf("%s: %d wrong bytes before a fault", what, len(got))
				}
				at, _ := want.Seek(int64(len(got)-len(should)), io.SeekCurrent)
				if off, err := f.Seek(0, io.SeekCurrent); off != at || err != nil {
					t.Fatalf("%s: at %d after a fault, %v; want %d", what, off, err, at)
				}
				return
			}
			if !bytes.Equal(got, should) || !errors.Is(gerr, werr) {
				t.Fatalf("%s: %d bytes, %v; want %d, %v", what, len(got), gerr, len(should), werr)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"read": func(t *rapid.T) {
				a := make([]byte, rapid.IntRange(0, 300).Draw(t, "n"))
				b := slices.Clone(a)
				n, err := f.Read(a)
				m, werr := io.ReadFull(want, b)
				if werr != nil {
					werr = io.EOF
				}
				same("read", a[:n], err, b[:m], werr)
			},
			"write to": func(t *rapid.T) {
				var a, b bytes.Buffer
				_, err := f.WriteTo(&a)
				_, werr := want.WriteTo(&b)
				same("write to", a.Bytes(), err, b.Bytes(), werr)
			},
			"seek": func(t *rapid.T) {
				off, whence := int64(rapid.IntRange(-len(data)-2, len(data)+9).Draw(t, "to")), rapid.IntRange(0, 3).Draw(t, "whence")
				a, err := f.Seek(off, whence)
				b, werr := want.Seek(off, whence)
				if (err == nil) != (werr == nil) || err == nil && a != b {
					t.Fatalf("seek %d from %d: %d, %v; want %d, %v", off, whence, a, err, b, werr)
				}
			},
		})
	})
}

// ofLeaves is a file of n leaves of 64 bytes below parents of 16 links, with its bytes.
func ofLeaves(t *testing.T, n int) (*blockstest.Mem, cid.Cid, []byte) {
	t.Helper()
	st, data := new(blockstest.Mem), blockstest.Random(7, 64*n)
	return st, root(split(t, st, data, dag.Layout{ChunkSize: 64, MaxLinks: 16})), data
}

// Blocks in hand are as many as the window holds, and no more, while the reader reads on;
// the control, a window of one block, takes as much longer.
func TestAsManyBlocksAreInHandAsTheWindowHolds(t *testing.T) {
	took := map[int]time.Duration{}
	for _, c := range []struct {
		bytes        int64
		blocks, most int
	}{{1 << 20, 1, 1}, {1 << 20, 32, 32}, {640, 32, 10}} {
		synctest.Test(t, func(t *testing.T) {
			st, r, data := ofLeaves(t, 600)
			l := &line{NodeGetter: blockstest.Nodes(st), takes: 10 * time.Millisecond}
			f, err := dag.OpenIn(t.Context(), l, r, c.bytes, c.blocks)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			t0 := time.Now()
			var got bytes.Buffer
			if _, err := f.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), data) {
				t.Fatalf("%d bytes, %v", got.Len(), err)
			}
			took[c.most] = time.Since(t0)
			if _, most, _ := l.counts(); most > c.most || most < c.most*3/4 { // which of those that come at one time are first is not said
				t.Errorf("window of %d bytes, %d blocks: %d at once, want about %d", c.bytes, c.blocks, most, c.most)
			}
		})
	}
	if took[32]*5 > took[1] {
		t.Errorf("%v with 32 blocks in hand, %v with one", took[32], took[1])
	}
}

// Who does not read on has no more fetched than the window holds.
func TestASlowReaderHasNoMoreThanAWindowFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r, _ := ofLeaves(t, 600)
		l := &line{NodeGetter: blockstest.Nodes(st), takes: time.Millisecond}
		f, err := dag.OpenIn(t.Context(), l, r, 1<<20, 32)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for n := 64; n <= 64*200; n += 64 {
			if _, err := f.Read(make([]byte, 64)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(time.Second)
			_, _, asked := l.counts()
			if ahead := asked - 1 - 42 - n/64; ahead > 33 { // without the root, all parents and what was read
				t.Fatalf("%d blocks ahead after %d", ahead, n/64)
			}
		}
		if _, _, leaves := l.counts(); leaves < 200+32 {
			t.Errorf("%d blocks asked for after 200 leaves: the window has not grown", leaves)
		}
	})
}

// Little reads here and there ask for what they need and not for a window.
func TestRandomReadsAskForLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r, data := ofLeaves(t, 600)
		l := &line{NodeGetter: blockstest.Nodes(st), takes: time.Millisecond}
		f, err := dag.OpenIn(t.Context(), l, r, 1<<20, 64)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		const reads = 50
		for i := range reads {
			off, p := (i*7919+31)%600*64, make([]byte, 10)
			if _, err := f.Seek(int64(off), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(f, p); err != nil || !bytes.Equal(p, data[off:off+10]) {
				t.Fatal(err)
			}
		}
		if _, _, asked := l.counts(); asked > 1+reads*3 { // two parents and a leaf each
			t.Errorf("%d blocks for %d reads", asked, reads)
		}
	})
}

// On a slow line few blocks wait behind each other, so that each comes in time.
func TestASlowLineHasFewBlocksInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r, data := ofLeaves(t, 100)
		l := &line{NodeGetter: blockstest.Nodes(st), takes: 3 * time.Second}
		f, err := dag.OpenIn(t.Context(), l, r, 1<<20, 64)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
			t.Fatal(len(got), err)
		}
		if _, most, _ := l.counts(); most > 4 {
			t.Errorf("%d at once", most)
		}
	})
}

// What failed while it was asked for ahead is asked for again when it is needed; that there
// is no such block is final.
func TestAFailureAheadIsNotTheReaders(t *testing.T) {
	for name, c := range map[string]struct {
		fault error
		fails bool
	}{"late": {context.DeadlineExceeded, false}, "not found": {blocks.NotFound(x64.Cid()), true}} {
		st, r, data := ofLeaves(t, 8)
		victim := blocks.New(cid.Raw, data[64:128])
		var once sync.Once
		faulty := &blockstest.Faulty{Store: st, Fail: func(op string, h mh.Multihash) (err error) {
			if bytes.Equal(h, victim.Hash()) {
				once.Do(func() { err = c.fault })
			}
			return err
		}}
		f, err := dag.Open(t.Context(), blockstest.Nodes(faulty), r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		if (err != nil) != c.fails || !bytes.HasPrefix(data, got) || !c.fails && len(got) != len(data) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		_ = f.Close()
	}
}

var x64 = blocks.New(cid.Raw, make([]byte, 64))

// Seek and Close take back what was asked for, and Close leaves no goroutine.
func TestCloseAndSeekEndWhatWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r, _ := ofLeaves(t, 600)
		l := &line{NodeGetter: blockstest.Nodes(st), takes: time.Millisecond}
		f, err := dag.OpenIn(t.Context(), l, r, 1<<20, 64)
		if err != nil {
			t.Fatal(err)
		}
		before := runtime.NumGoroutine()
		if _, err := io.CopyN(io.Discard, f, 64*100); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if now, _, _ := l.counts(); now == 0 {
			t.Fatal("nothing is asked for ahead")
		}
		if _, err := f.Seek(0, io.SeekEnd); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if now, _, _ := l.counts(); now != 0 {
			t.Errorf("%d blocks asked for after a seek", now)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, f, 64*100); err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		l.takes = time.Hour
		l.mu.Unlock()
		stuck := make(chan error)
		go func() { _, err := io.Copy(io.Discard, f); stuck <- err }()
		synctest.Wait()
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-stuck; !errors.Is(err, context.Canceled) {
			t.Errorf("a read at Close: %v", err)
		}
		synctest.Wait()
		now, _, _ := l.counts()
		if n := runtime.NumGoroutine(); n > before || now != 0 {
			t.Errorf("%d goroutines more than before, %d blocks asked for", n-before, now)
		}
	})
}
