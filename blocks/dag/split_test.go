package dag_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	mdtest "github.com/ipfs/boxo/ipld/merkledag/test"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"
)

// tiny makes deep trees of little data: three levels of parents in 4 KiB.
var tiny = dag.Layout{ChunkSize: 64, MaxLinks: 4}

// failer is what testing.T and rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// split puts the blocks of data into st and answers them, the root last.
func split(t failer, st *blockstest.Mem, data []byte, l dag.Layout) (bs []blocks.Block) {
	t.Helper()
	for b, err := range dag.Split(bytes.NewReader(data), l) {
		if err != nil {
			t.Fatalf("split: %v", err)
		}
		bs = append(bs, b)
	}
	if err := st.Put(ctx(t), bs...); err != nil {
		t.Fatalf("put: %v", err)
	}
	return bs
}

func root(bs []blocks.Block) cid.Cid { return bs[len(bs)-1].Cid() }

// Whatever was split opens again as the same bytes, from any offset.
func TestSplitThenOpenIsIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := dag.Layout{ChunkSize: tiny.ChunkSize, MaxLinks: tiny.MaxLinks, CIDv0: rapid.Bool().Draw(t, "v0")}
		size := rapid.SampledFrom(blockstest.Sizes(64, 4)).Draw(t, "size")
		data, st := blockstest.Random(rapid.Uint64().Draw(t, "seed"), size.N), new(blockstest.Mem)
		bs := split(t, st, data, l)
		f, err := dag.Open(ctx(t), blockstest.Nodes(st), root(bs))
		if err != nil {
			t.Fatalf("%s: %v", size.Why, err)
		}
		defer f.Close()
		if f.Size() != int64(size.N) || f.CID() != root(bs) {
			t.Fatalf("%s: got %d bytes of %s, want %d", size.Why, f.Size(), f.CID(), size.N)
		}
		for range 3 {
			off := rapid.IntRange(0, size.N).Draw(t, "offset")
			got, err := from(f, off, rapid.Bool().Draw(t, "by WriteTo"))
			if err != nil || !bytes.Equal(got, data[off:]) {
				t.Fatalf("%s, from %d: %d bytes, %v; want %d", size.Why, off, len(got), err, size.N-off)
			}
		}
	})
}

// from reads f from off to its end.
func from(f *dag.File, off int, writeTo bool) ([]byte, error) {
	if _, err := f.Seek(int64(off), io.SeekStart); err != nil {
		return nil, err
	}
	if !writeTo {
		return io.ReadAll(iotest.HalfReader(f))
	}
	var buf bytes.Buffer
	_, err := f.WriteTo(&buf)
	return buf.Bytes(), err
}

// Known CIDs: the first two are kubo's of the empty file, the third its of
// "hello world\n".
func TestKnownFilesHaveTheirKnownRoots(t *testing.T) {
	for _, c := range []struct{ profile, data, want string }{
		{dag.ProfileV1, "", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},
		{dag.ProfileV0, "", "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"},
		{dag.ProfileV0, "hello world\n", "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"},
		{"", "hello\n", "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"},
	} {
		l, err := dag.Profile(c.profile)
		if err != nil {
			t.Fatal(err)
		}
		bs := split(t, new(blockstest.Mem), []byte(c.data), l)
		if got := root(bs).String(); got != c.want || len(bs) != 1 {
			t.Errorf("%s %q: got %s of %d blocks, want %s", c.profile, c.data, got, len(bs), c.want)
		}
	}
	if _, err := dag.Profile("test-small"); err == nil {
		t.Error("an unknown profile was taken")
	}
}

// The roots are those of boxo's importer, called here by itself with the
// numbers of the two profiles written out.
func TestRootsAreThoseOfTheImporter(t *testing.T) {
	for _, p := range []struct {
		name   string
		params helpers.DagBuilderParams
		chunk  int64
	}{
		{dag.ProfileV1, helpers.DagBuilderParams{Maxlinks: 1024, RawLeaves: true, CidBuilder: cid.V1Builder{Codec: cid.DagProtobuf, MhType: mh.SHA2_256}}, 1 << 20},
		{dag.ProfileV0, helpers.DagBuilderParams{Maxlinks: 174, CidBuilder: merkledag.V0CidPrefix()}, 256 << 10},
	} {
		for _, n := range []int{0, 1, int(p.chunk) - 1, int(p.chunk), int(p.chunk) + 1, 3*int(p.chunk) + 5} {
			data := blockstest.Random(uint64(n), n)
			p.params.Dagserv = mdtest.Mock()
			h, err := p.params.New(chunk.NewSizeSplitter(bytes.NewReader(data), p.chunk))
			if err != nil {
				t.Fatal(err)
			}
			want, err := balanced.Layout(h)
			if err != nil {
				t.Fatal(err)
			}
			l, err := dag.Profile(p.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := root(split(t, new(blockstest.Mem), data, l)); got != want.Cid() {
				t.Errorf("%s, %d bytes: got %s, want %s", p.name, n, got, want.Cid())
			}
		}
	}
}

func TestTheZeroLayoutIsTheDefaultProfile(t *testing.T) {
	l, err := dag.Profile("")
	if err != nil {
		t.Fatal(err)
	}
	data := blockstest.Random(1, 2<<20+1)
	if got, want := root(split(t, new(blockstest.Mem), data, dag.Layout{})), root(split(t, new(blockstest.Mem), data, l)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Each block is checked here; Split itself hashes it once only.
func TestBlocksMatchTheirCIDsAndComeBeforeTheirParents(t *testing.T) {
	for _, v0 := range []bool{false, true} {
		l := tiny
		l.CIDv0 = v0
		met := make(map[cid.Cid]bool)
		for _, b := range split(t, new(blockstest.Mem), blockstest.Random(1, 5000), l) {
			if _, err := blocks.Check(b.Cid(), b.RawData()); err != nil {
				t.Fatal(err)
			}
			n, err := merkledag.DecodeProtobufBlock(b)
			if b.Cid().Type() == cid.Raw {
				n, err = merkledag.DecodeRawBlock(b)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, link := range n.Links() {
				if !met[link.Cid] {
					t.Fatalf("%s came before its child %s", b.Cid(), link.Cid)
				}
			}
			met[b.Cid()] = true
		}
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestSplitReadsAFewChunksFurtherThanItsCaller(t *testing.T) {
	for hands, most := range map[int]int{1: 1, 2: 4, 4: 8, 100: 16} { // chunks
		c := &counter{r: bytes.NewReader(blockstest.Random(1, 1<<20))}
		leaves := 0
		for b, err := range dag.SplitOn(c, tiny, hands) {
			if err != nil {
				t.Fatal(err)
			}
			if b.Cid().Type() == cid.Raw {
				leaves++
			}
			if c.n > (leaves+most)*64 {
				t.Fatalf("on %d threads: read %d bytes for %d leaves", hands, c.n, leaves)
			}
			if leaves == 10 {
				break
			}
		}
		if c.n > (10+most)*64 {
			t.Errorf("on %d threads: read on after the caller had stopped: %d bytes", hands, c.n)
		}
	}
}

func TestSplitPassesTheErrorOnOnce(t *testing.T) {
	mine := errors.New("mine")
	var got []error
	for _, err := range dag.Split(io.MultiReader(bytes.NewReader(make([]byte, 1000)), iotest.ErrReader(mine)), tiny) {
		if err != nil || got != nil {
			got = append(got, err)
		}
	}
	if len(got) != 1 || !errors.Is(got[0], mine) {
		t.Errorf("got %v, want the reader's error as the last thing", got)
	}
}

// An upload that breaks off ends with io.ErrUnexpectedEOF.
func TestAnInputThatBreaksOffIsNoFile(t *testing.T) {
	for _, n := range []int{0, 1, 64, 100} {
		var last error
		for _, err := range dag.Split(io.MultiReader(bytes.NewReader(make([]byte, n)), iotest.ErrReader(io.ErrUnexpectedEOF)), tiny) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), "ended too early") {
			t.Errorf("after %d bytes: got %v, want an error", n, last)
		}
	}
}

func TestLayoutsOutOfRangeAreRefused(t *testing.T) {
	for _, l := range []dag.Layout{
		{ChunkSize: -1},
		{ChunkSize: blocks.MaxSize + 1},
		{ChunkSize: blocks.MaxSize, CIDv0: true}, // the leaf's envelope is on top
		{MaxLinks: 1},
	} {
		var last error
		for _, err := range dag.Split(bytes.NewReader(make([]byte, 3<<20)), l) {
			last = err
		}
		if last == nil {
			t.Errorf("%+v was taken", l)
		}
	}
}
