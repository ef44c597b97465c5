package dag_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/hamt"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// ctx is the context of a test, or none where there is none.
func ctx(t any) context.Context {
	if t, ok := t.(interface{ Context() context.Context }); ok {
		return t.Context()
	}
	return context.Background()
}

// add puts a node into st.
func add(t *testing.T, st *blockstest.Mem, n ipld.Node) cid.Cid {
	t.Helper()
	b, err := blocks.Check(n.Cid(), n.RawData())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return n.Cid()
}

// dir makes a directory of names and what they stand for.
func dir(t *testing.T, st *blockstest.Mem, entries map[string]cid.Cid) cid.Cid {
	t.Helper()
	n := unixfs.EmptyDirNode()
	if err := n.SetCidBuilder(merkledag.V1CidPrefix()); err != nil {
		t.Fatal(err)
	}
	for name, c := range entries {
		if err := n.AddRawLink(name, &ipld.Link{Cid: c, Size: 10}); err != nil {
			t.Fatal(err)
		}
	}
	return add(t, st, n)
}

func TestOpenSaysWhatIsNoFile(t *testing.T) {
	st := new(blockstest.Mem)
	d := dir(t, st, nil)
	_, err := dag.Open(t.Context(), blockstest.Nodes(st), d)
	if !errors.Is(err, dag.ErrDir) || !strings.Contains(err.Error(), d.String()+" is a directory") {
		t.Errorf("a directory: got %v", err)
	}
	cbor := blocks.New(cid.DagCBOR, []byte{0xa0})
	_, err = dag.Open(t.Context(), blockstest.Nodes(st), cbor.Cid())
	if err == nil || !strings.Contains(err.Error(), "codec dag-cbor: want raw or dag-pb") {
		t.Errorf("another codec: got %v", err)
	}
	_, err = dag.Open(t.Context(), blockstest.Nodes(st), blocks.New(cid.Raw, []byte("x")).Cid())
	if !blocks.IsNotFound(err) {
		t.Errorf("nothing there: got %v, want NotFound", err)
	}
	link, err := unixfs.SymlinkData("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = dag.Open(t.Context(), blockstest.Nodes(st), add(t, st, merkledag.NodeWithData(link))); err == nil {
		t.Error("a symlink opened as a file")
	}
	if _, err = dag.Open(t.Context(), blockstest.Nodes(st), add(t, st, merkledag.NodeWithData([]byte("no UnixFS")))); err == nil {
		t.Error("a node that is no UnixFS opened as a file")
	}
}

func TestAMissingLeafIsTheErrorOfTheRead(t *testing.T) {
	st, data := new(blockstest.Mem), blockstest.Random(1, 5000)
	bs := split(t, st, data, tiny)
	missing := bs[2]
	if err := st.Delete(t.Context(), missing.Hash()); err != nil {
		t.Fatal(err)
	}
	f, err := dag.Open(t.Context(), blockstest.Nodes(st), root(bs))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if !blocks.IsNotFound(err) || !strings.Contains(err.Error(), missing.Cid().String()) {
		t.Errorf("got %v, want NotFound of %s", err, missing.Cid())
	}
	if !bytes.HasPrefix(data, got) {
		t.Errorf("got %d wrong bytes before the error", len(got))
	}
}

func TestSeekBehavesLikeThatOfBytesReader(t *testing.T) {
	st, data := new(blockstest.Mem), blockstest.Random(1, 1000)
	f, err := dag.Open(t.Context(), blockstest.Nodes(st), root(split(t, st, data, tiny)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := bytes.NewReader(data)
	for _, s := range []struct {
		off    int64
		whence int
	}{{0, io.SeekEnd}, {0, io.SeekStart}, {-1, io.SeekEnd}, {1, io.SeekCurrent}, {999, io.SeekStart}, {-500, io.SeekCurrent}, {2000, io.SeekStart}, {64, io.SeekStart}} {
		a, err := f.Seek(s.off, s.whence)
		b, _ := want.Seek(s.off, s.whence)
		if a != b || err != nil {
			t.Fatalf("seek %+v: got %d, %v; want %d", s, a, err, b)
		}
		pa, pb := make([]byte, 10), make([]byte, 10)
		n, err := io.ReadFull(f, pa)
		m, werr := io.ReadFull(want, pb)
		if n != m || !errors.Is(err, werr) || !bytes.Equal(pa, pb) {
			t.Fatalf("read after %+v: got %d, %v; want %d, %v", s, n, err, m, werr)
		}
	}
	if _, err := f.Seek(-1, io.SeekStart); err == nil {
		t.Error("a negative offset was taken")
	}
}

func TestReadingAfterCloseFails(t *testing.T) {
	st := new(blockstest.Mem)
	f, err := dag.Open(t.Context(), blockstest.Nodes(st), root(split(t, st, blockstest.Random(1, 5000), tiny)))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(f); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestResolveFollowsNames(t *testing.T) {
	st := new(blockstest.Mem)
	file := root(split(t, st, []byte("hello"), dag.Layout{}))
	inner := dir(t, st, map[string]cid.Cid{"file": file, "ü b?": file})
	top := dir(t, st, map[string]cid.Cid{"inner": inner, "file": file})
	for _, c := range []struct {
		names []string
		want  cid.Cid
	}{{nil, top}, {[]string{"file"}, file}, {[]string{"inner"}, inner}, {[]string{"inner", "file"}, file}, {[]string{"inner", "ü b?"}, file}} {
		if got, err := dag.Resolve(t.Context(), blockstest.Nodes(st), top, c.names); got != c.want || err != nil {
			t.Errorf("%q: got %s, %v; want %s", c.names, got, err, c.want)
		}
	}
	for _, names := range [][]string{{"nope"}, {"inner", "nope"}, {"file", "nope"}, {"nope", "file"}, {"inner", "file", "nope", "x"}} {
		_, err := dag.Resolve(t.Context(), blockstest.Nodes(st), top, names)
		if !blocks.IsNotFound(err) || !strings.Contains(err.Error(), `no "nope"`) {
			t.Errorf("%q: got %v, want NotFound that names nope", names, err)
		}
	}
}

func TestResolveFollowsShardedDirectories(t *testing.T) {
	st := new(blockstest.Mem)
	file := blocks.New(cid.Raw, []byte("hello"))
	if err := st.Put(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	shard, err := hamt.NewShard(adder{merkledag.NewReadOnlyDagService(blockstest.Nodes(st)), t, st}, 256)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := shard.SetLink(t.Context(), fmt.Sprint(i), &ipld.Link{Cid: file.Cid(), Size: 5}); err != nil {
			t.Fatal(err)
		}
	}
	n, err := shard.Node()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := dag.Resolve(t.Context(), blockstest.Nodes(st), n.Cid(), []string{"777"}); got != file.Cid() || err != nil {
		t.Errorf("got %s, %v; want %s", got, err, file.Cid())
	}
	if _, err := dag.Resolve(t.Context(), blockstest.Nodes(st), n.Cid(), []string{"nope"}); !blocks.IsNotFound(err) {
		t.Errorf("got %v, want NotFound", err)
	}
}

// adder is a DAG service that adds to st.
type adder struct {
	ipld.DAGService
	t  *testing.T
	st *blockstest.Mem
}

func (a adder) Add(_ context.Context, n ipld.Node) error { add(a.t, a.st, n); return nil }

func (a adder) AddMany(_ context.Context, ns []ipld.Node) error {
	for _, n := range ns {
		add(a.t, a.st, n)
	}
	return nil
}
