package dag_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/ipld/merkledag"
	mdtest "github.com/ipfs/boxo/ipld/merkledag/test"
	"github.com/ipfs/boxo/ipld/unixfs"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"pgregory.net/rapid"
)

// tree is what a test puts: path → item, with the bytes of files as text.
type tree map[string]node

type node struct {
	kind blocks.Kind
	text string // of a file its bytes, of a symlink its target
}

func file(text string) node { return node{blocks.KindFile, text} }
func link(to string) node   { return node{blocks.KindSymlink, to} }

var folder = node{kind: blocks.KindDir}

// items gives t in the order of paths.
func (t tree) items(paths []string) iter.Seq2[blocks.Item, error] {
	return func(yield func(blocks.Item, error) bool) {
		for _, p := range paths {
			it := blocks.Item{Path: p, Kind: t[p].kind}
			switch it.Kind {
			case blocks.KindFile:
				it.Body = strings.NewReader(t[p].text)
			case blocks.KindSymlink:
				it.Target = t[p].text
			}
			if !yield(it, nil) {
				return
			}
		}
	}
}

func (t tree) sorted() []string { return slices.Sorted(maps.Keys(t)) }

func build(t failer, st *blockstest.Mem, items iter.Seq2[blocks.Item, error], l dag.Layout) (bs []blocks.Block) {
	t.Helper()
	for b, err := range dag.Build(items, l) {
		if err != nil {
			t.Fatalf("build: %v", err)
		}
		bs = append(bs, b)
	}
	if err := st.Put(ctx(t), bs...); err != nil {
		t.Fatalf("put: %v", err)
	}
	return bs
}

// read gives the tree under c again, directories included.
func read(t failer, ng ipld.NodeGetter, c cid.Cid, at string, into tree) {
	t.Helper()
	for e, err := range dag.List(ctx(t), ng, c) {
		if err != nil {
			t.Fatalf("list %q: %v", at, err)
		}
		p := path.Join(at, e.Name)
		switch e.Kind {
		case blocks.KindDir:
			into[p] = folder
			read(t, ng, e.CID, p, into)
		case blocks.KindSymlink:
			into[p] = link(e.Target)
		case blocks.KindFile:
			f, err := dag.Open(ctx(t), ng, e.CID)
			if err != nil {
				t.Fatalf("open %q: %v", p, err)
			}
			data, err := io.ReadAll(f)
			f.Close()
			if err != nil || int64(len(data)) != e.Size {
				t.Fatalf("%q: %d bytes, %v; listed with %d", p, len(data), err, e.Size)
			}
			into[p] = file(string(data))
		default:
			t.Fatalf("%q is of kind %q", p, e.Kind)
		}
	}
}

// names are drawn from few, so that directories meet, and of all scripts.
var names = rapid.SampledFrom([]string{"a", "b", "ü b?", "日本語", "..x", ".hidden", "a%20b", "🗿", "\u202eevil", "é", "e\u0301"})

func trees(t *rapid.T) tree {
	out := tree{}
	for range rapid.IntRange(0, 12).Draw(t, "entries") {
		p := path.Join(rapid.SliceOfN(names, 1, 4).Draw(t, "path")...)
		taken := out[p].kind != ""
		for q := range out {
			taken = taken || strings.HasPrefix(q, p+"/") || strings.HasPrefix(p, q+"/") && out[q].kind != blocks.KindDir
		}
		if taken {
			continue
		}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			out[p] = folder
		case 1:
			out[p] = link(rapid.SampledFrom([]string{"a", "../..", "/etc/passwd", "日本"}).Draw(t, "to"))
		default:
			out[p] = file(string(blockstest.Random(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 700).Draw(t, "size"))))
		}
	}
	return out
}

// whole is t with the directories that its paths only imply.
func (t tree) whole() tree {
	out := maps.Clone(t)
	for p := range t {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			out[d] = folder
		}
	}
	return out
}

// Whatever was built is read again as the same tree, and its root does not depend on
// the order, nor on whether directories were named.
func TestBuildThenListIsIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, st := trees(t), new(blockstest.Mem)
		l := dag.Layout{ChunkSize: tiny.ChunkSize, MaxLinks: tiny.MaxLinks, CIDv0: rapid.Bool().Draw(t, "v0")}
		bs := build(t, st, want.items(want.sorted()), l)
		got := tree{}
		read(t, blockstest.Nodes(st), root(bs), "", got)
		if !maps.Equal(got, want.whole()) {
			t.Fatalf("got %q\nwant %q", got, want.whole())
		}
		other := want
		if rapid.Bool().Draw(t, "with every directory") {
			other = want.whole()
		}
		again := build(t, st, other.items(rapid.Permutation(other.sorted()).Draw(t, "order")), l)
		if root(again) != root(bs) {
			t.Fatalf("another order gives %s, not %s", root(again), root(bs))
		}
	})
}

// boxo's own directory, filled entry by entry: the roots must be its.
func TestRootsOfTreesAreThoseOfBoxo(t *testing.T) {
	for _, n := range []int{0, 1, 100, 4000, 6000, 20_000} {
		for _, v0 := range []bool{false, true} {
			p := uio.UnixFS_v1_2025
			if v0 {
				p = uio.UnixFS_v0_2015
			}
			ds := mdtest.Mock()
			want, err := uio.NewDirectory(ds, uio.WithCidBuilder(p.CidBuilder()), uio.WithMaxHAMTFanout(p.HAMTShardWidth), uio.WithSizeEstimationMode(p.HAMTSizeEstimation))
			if err != nil {
				t.Fatal(err)
			}
			in := tree{}
			for i := range n {
				name, text := fmt.Sprintf("файл-%05d", i), fmt.Sprint(i%50)
				in[name] = file(text)
				var leaf ipld.Node = merkledag.NewRawNode([]byte(text))
				if v0 {
					leaf = merkledag.NodeWithData(unixfs.FilePBData([]byte(text), uint64(len(text))))
				}
				if err := want.AddChild(t.Context(), name, leaf); err != nil {
					t.Fatal(err)
				}
			}
			node, err := want.GetNode()
			if err != nil {
				t.Fatal(err)
			}
			st := new(blockstest.Mem)
			bs := build(t, st, in.items(in.sorted()), dag.Layout{CIDv0: v0})
			if root(bs) != node.Cid() {
				t.Errorf("%d entries, v0 %t: got %s, want %s", n, v0, root(bs), node.Cid())
			}
			if s, err := dag.Stat(t.Context(), blockstest.Nodes(st), root(bs)); err != nil || s.Total != size(t, node) {
				t.Errorf("%d entries, v0 %t: total %d, %v; want %d", n, v0, s.Total, err, size(t, node))
			}
		}
	}
}

func size(t *testing.T, n ipld.Node) int64 {
	t.Helper()
	s, err := n.Size()
	if err != nil {
		t.Fatal(err)
	}
	return int64(s)
}

// kubo's: the empty directory of either version.
func TestTheEmptyDirectoryHasItsKnownRoot(t *testing.T) {
	for want, l := range map[string]dag.Layout{
		"bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354": {},
		"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn":              {CIDv0: true},
	} {
		if got := root(build(t, new(blockstest.Mem), tree{}.items(nil), l)).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestALargeDirectoryIsShardedAndListedAndResolved(t *testing.T) {
	in, st := tree{}, new(blockstest.Mem)
	for i := range 6000 {
		in[fmt.Sprintf("photos/%04d.jpg", i)] = file(fmt.Sprint(i))
	}
	in["photos/more"] = folder
	in["photos/latest"] = link("5999.jpg")
	shuffled := in.sorted()
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	bs := build(t, st, in.items(shuffled), dag.Layout{})
	ng := blockstest.Nodes(st)
	photos, err := dag.Resolve(t.Context(), ng, root(bs), []string{"photos"})
	if err != nil {
		t.Fatal(err)
	}
	n, err := ng.Get(t.Context(), photos)
	if err != nil {
		t.Fatal(err)
	}
	fsn, err := unixfs.ExtractFSNode(n)
	if err != nil || fsn.Type() != unixfs.THAMTShard {
		t.Fatalf("type %v, %v: want a shard", fsn.Type(), err)
	}
	got := tree{}
	read(t, ng, root(bs), "", got)
	if !maps.Equal(got, in.whole()) {
		t.Errorf("got %d entries, want %d", len(got), len(in.whole()))
	}
	c, err := dag.Resolve(t.Context(), ng, photos, []string{"4711.jpg"})
	if want := blocks.New(cid.Raw, []byte("4711")).Cid(); c != want || err != nil {
		t.Errorf("got %s, %v; want %s", c, err, want)
	}
	seen := 0 // the list is streamed: who stops pays for no more
	a := asked{ng, map[cid.Cid]int{}}
	for range dag.List(t.Context(), a, photos) {
		if seen++; seen == 100 {
			break
		}
	}
	if len(a.n) > 10 {
		t.Errorf("%d blocks for the first 100 entries", len(a.n))
	}
}

func TestNamesThatNoDirectoryMayHaveAreRefusedByName(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, c := range []struct{ path, want string }{
		{"", "an empty name"},
		{".", `the name "."`},
		{"..", `the name ".."`},
		{"a/../b", `the name ".."`},
		{"a/./b", `the name "."`},
		{"../a", `the name ".."`},
		{"/etc/passwd", "an empty name"},
		{"a//b", "an empty name"},
		{"a/", "an empty name"},
		{"a\x00b", `'\x00'`},
		{"a\nb", `'\n'`},
		{"dir/\x1b[2J", `'\x1b'`},
		{"a\u0085b", `'\u0085'`},
		{"a\x7f", `'\x7f'`},
		{"a\xffb", "not UTF-8"},
		{long, "256 bytes"},
		{strings.Repeat("a/", 256) + "a", "deeper than 256"},
		{strings.Repeat(long[:200]+"/", 20) + "a", "a path of 4021 bytes"},
	} {
		for _, kind := range []node{file("x"), link("x")} {
			in := tree{"good": file("1"), c.path: kind}
			var last error
			for _, err := range dag.Build(in.items([]string{"good", c.path}), dag.Layout{}) {
				last = err
			}
			var name *blocks.NameError
			if !errors.As(last, &name) || name.Path != c.path || !strings.Contains(last.Error(), c.want) || strings.ContainsAny(last.Error(), "\x00\x1b\n") {
				t.Errorf("%q: got %v, want %q, quoted", c.path, last, c.want)
			}
		}
	}
	for _, good := range []string{"..a", "...", " ", "a b", "-rf", "CON", "日本", strings.Repeat("x", 255)} {
		build(t, new(blockstest.Mem), tree{good: file("x")}.items([]string{good}), dag.Layout{})
	}
}

func TestAnEntryThatIsThereTwiceIsRefusedInEitherOrder(t *testing.T) {
	in := tree{"a": file("1"), "a/b": file("2"), "d": folder, "d/e": file("3")}
	for _, paths := range [][]string{{"a", "a"}, {"a", "a/b"}, {"a/b", "a"}, {"d", "d"}, {"d/e", "d", "d"}} {
		var last error
		for _, err := range dag.Build(in.items(paths), dag.Layout{}) {
			last = err
		}
		var name *blocks.NameError
		if !errors.As(last, &name) {
			t.Errorf("%q: got %v, want a NameError", paths, last)
		}
	}
	for _, l := range []string{"", "a\x00b", strings.Repeat("x", 5000)} {
		var last error
		for _, err := range dag.Build(tree{"l": link(l)}.items([]string{"l"}), dag.Layout{}) {
			last = err
		}
		if last == nil {
			t.Errorf("a symlink to %.10q was taken", l)
		}
	}
}

func TestBuildPassesTheErrorOnOnceAndStopsWithItsCaller(t *testing.T) {
	mine := errors.New("mine")
	broken := func(yield func(blocks.Item, error) bool) {
		_ = yield(blocks.Item{Path: "a", Kind: blocks.KindFile, Body: strings.NewReader("x")}, nil) && yield(blocks.Item{}, mine)
	}
	unread := func(yield func(blocks.Item, error) bool) {
		yield(blocks.Item{Path: "a", Kind: blocks.KindFile, Body: io.MultiReader(bytes.NewReader(make([]byte, 1000)), iotest.ErrReader(mine))}, nil)
	}
	for _, items := range []iter.Seq2[blocks.Item, error]{broken, unread} {
		var got []error
		for _, err := range dag.Build(items, tiny) {
			if err != nil || got != nil {
				got = append(got, err)
			}
		}
		if len(got) != 1 || !errors.Is(got[0], mine) {
			t.Errorf("got %v, want the error as the last thing", got)
		}
	}
	asked := 0
	endless := func(yield func(blocks.Item, error) bool) {
		for asked = 0; yield(blocks.Item{Path: fmt.Sprint(asked), Kind: blocks.KindFile, Body: strings.NewReader("x")}, nil); asked++ {
		}
	}
	n := 0
	for range dag.Build(endless, tiny) {
		if n++; n == 10 {
			break
		}
	}
	if asked != 9 {
		t.Errorf("asked for %d items after the caller had stopped, want 9", asked)
	}
}

func TestListSaysWhatIsNoDirectory(t *testing.T) {
	st := new(blockstest.Mem)
	leaf := root(split(t, st, []byte("hello"), dag.Layout{}))
	big := root(split(t, st, blockstest.Random(1, 1000), tiny))
	for c, want := range map[cid.Cid]string{
		leaf: "is not a directory",
		big:  "is not a directory",
		blocks.New(cid.DagCBOR, []byte{0xa0}).Cid():         "codec dag-cbor",
		add(t, st, merkledag.NodeWithData([]byte("wrong"))): "proto",
		blocks.New(cid.DagProtobuf, []byte("gone")).Cid():   "not find",
		dir(t, st, nil): "",
	} {
		var last error
		for _, err := range dag.List(t.Context(), blockstest.Nodes(st), c) {
			last = err
		}
		if (last == nil) != (want == "") || last != nil && !strings.Contains(last.Error(), want) {
			t.Errorf("got %v, want %q", last, want)
		}
	}
}

// An entry whose block is gone does not hide the others.
func TestAnEntryThatCannotBeHadIsListedAsUnknown(t *testing.T) {
	st := new(blockstest.Mem)
	leaf := root(split(t, st, []byte("hello"), dag.Layout{}))
	d := dir(t, st, map[string]cid.Cid{"gone": blocks.New(cid.DagProtobuf, []byte("gone")).Cid(), "here": leaf, "sub": dir(t, st, nil)})
	got := map[string]blocks.Kind{}
	for e, err := range dag.List(t.Context(), blockstest.Nodes(st), d) {
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name] = e.Kind
	}
	if want := map[string]blocks.Kind{"gone": blocks.KindUnknown, "here": blocks.KindFile, "sub": blocks.KindDir}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBrokenShardsAreErrors(t *testing.T) {
	st := new(blockstest.Mem)
	shard := func(fanout uint64, links ...*ipld.Link) cid.Cid {
		data, err := unixfs.HAMTShardData([]byte{1}, fanout, 0x22)
		if err != nil {
			t.Fatal(err)
		}
		n := merkledag.NodeWithData(data)
		for _, l := range links {
			if err := n.AddRawLink(l.Name, l); err != nil {
				t.Fatal(err)
			}
		}
		return add(t, st, n)
	}
	leaf := blocks.New(cid.Raw, []byte("x")).Cid()
	deep := shard(256, &ipld.Link{Name: "00leaf", Cid: leaf})
	for range 100 {
		deep = shard(256, &ipld.Link{Name: "00", Cid: deep})
	}
	for want, c := range map[string]cid.Cid{
		"a shard of 7":       shard(7),
		"a shard of 1048576": shard(1 << 20),
		`a link "0"`:         shard(256, &ipld.Link{Name: "0", Cid: leaf}),
		"no shard where":     shard(256, &ipld.Link{Name: "00", Cid: dir(t, st, nil)}),
		"at depth 65":        deep,
	} {
		var last error
		for _, err := range dag.List(t.Context(), blockstest.Nodes(st), c) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), want) {
			t.Errorf("got %v, want %q", last, want)
		}
	}
}

func TestStatKnowsFilesDirectoriesAndSymlinks(t *testing.T) {
	st := new(blockstest.Mem)
	in := tree{"d/f": file(string(blockstest.Random(1, 1000))), "l": link("d/f")}
	top := root(build(t, st, in.items(in.sorted()), tiny))
	ng := blockstest.Nodes(st)
	for name, want := range map[string]blocks.Stat{
		"d/f": {Kind: blocks.KindFile, Size: 1000},
		"l":   {Kind: blocks.KindSymlink, Size: 3, Target: "d/f"},
		"d":   {Kind: blocks.KindDir},
	} {
		c, err := dag.Resolve(t.Context(), ng, top, strings.Split(name, "/"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := dag.Stat(t.Context(), ng, c)
		if err != nil || got.CID != c || got.Kind != want.Kind || got.Target != want.Target || want.Size > 0 && got.Size != want.Size || got.Total < got.Size {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, want)
		}
	}
}
