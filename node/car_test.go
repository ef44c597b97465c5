package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/storage"
	mh "github.com/multiformats/go-multihash"
	"github.com/multiformats/go-varint"
)

// small makes a tree of many blocks of little data.
var small = dag.Layout{ChunkSize: 1 << 10, MaxLinks: 8}

// file gives the blocks of a file of n bytes, the root last.
func file(t *testing.T, seed uint64, n int) (bs []blocks.Block) {
	t.Helper()
	for b, err := range dag.Split(bytes.NewReader(blockstest.Random(seed, n)), small) {
		if err != nil {
			t.Fatal(err)
		}
		bs = append(bs, b)
	}
	return bs
}

func rootOf(bs []blocks.Block) cid.Cid { return bs[len(bs)-1].Cid() }

// section is a block as a CAR has it, under whatever CID.
func section(c cid.Cid, data []byte) []byte {
	return slices.Concat(varint.ToUvarint(uint64(c.ByteLen()+len(data))), c.Bytes(), data)
}

// carOf is a CAR of bs, of version 1.
func carOf(t *testing.T, roots []cid.Cid, bs ...blocks.Block) []byte {
	t.Helper()
	var buf bytes.Buffer
	if _, err := storage.NewWritable(&buf, roots, car.WriteAsCarV1(true)); err != nil {
		t.Fatal(err)
	}
	for _, b := range bs {
		buf.Write(section(b.Cid(), b.RawData()))
	}
	return buf.Bytes()
}

// imports imports data at n.
func imports(t *testing.T, n *node.Node, data []byte, o blocks.ImportOptions) (blocks.Imported, error) {
	t.Helper()
	return n.ImportCAR(t.Context(), bytes.NewReader(data), o, nil)
}

func pinned(t *testing.T, n *node.Node) (roots []cid.Cid) {
	t.Helper()
	for p, err := range n.Pins(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, p.Root)
	}
	return roots
}

func keys(t *testing.T, m *blockstest.Mem) (n int) {
	t.Helper()
	for _, err := range m.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// The promise of a put is that of an import: who imported it dies, and a stranger exports
// the same CAR.
func TestAnImportOutlivesItsPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 8, nodetest.Config())
		one, two := file(t, 1, 20<<10), file(t, 2, 5<<10)
		stray := blocks.New(cid.Raw, []byte("no root leads here"))
		in := carOf(t, []cid.Cid{rootOf(one), rootOf(two), rootOf(one)}, slices.Concat(one, two, one, []blocks.Block{stray})...)
		told := 0
		out, err := w.Nodes[0].ImportCAR(t.Context(), bytes.NewReader(in), blocks.ImportOptions{PutOptions: blocks.PutOptions{Wait: blocks.WaitFull}}, func(blocks.Progress) { told++ })
		if err != nil {
			t.Fatal(err)
		}
		if out.Blocks != len(one)+len(two)+1 || out.Loose != 1 || len(out.Roots) != 2 || told == 0 {
			t.Errorf("%+v, told %d times; %d and %d blocks came", out, told, len(one), len(two))
		}
		if rc := out.Roots[0]; rc.Root != rootOf(one) || rc.Size != 20<<10 || rc.Blocks != len(one) || rc.Least < 5 || len(rc.Holders) == 0 {
			t.Errorf("receipt %+v", rc)
		}
		if got := pinned(t, w.Nodes[0]); len(got) != 2 {
			t.Errorf("%d pins: %v", len(got), got)
		}
		w.Kill(0)
		time.Sleep(time.Minute)
		var buf bytes.Buffer
		st, err := w.Nodes[7].ExportCAR(t.Context(), rootOf(one).String(), &buf)
		if err != nil || st.Blocks != len(one) {
			t.Fatalf("%+v, %v", st, err)
		}
		if got := readAll(t, w.Nodes[7], rootOf(one).String()); got != string(blockstest.Random(1, 20<<10)) {
			t.Error("the file is another one")
		}
		again, err := imports(t, w.Nodes[6], buf.Bytes(), blocks.ImportOptions{PutOptions: blocks.PutOptions{NoPlace: true}})
		if err != nil || again.Blocks != len(one) || again.Loose != 0 {
			t.Errorf("what was exported: %+v, %v", again, err)
		}
	})
}

// alone runs f with a peer that knows nobody and has nothing but kept.
func alone(t *testing.T, f func(t *testing.T, n *node.Node, m *blockstest.Mem, kept blocks.Block)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 1, nodetest.Config())
		kept := blocks.New(cid.Raw, []byte("was here before"))
		if err := w.Mem[0].Put(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
		f(t, w.Nodes[0], w.Mem[0], kept)
	})
}

// evil are CARs that must not be kept: each begins with good blocks, so that there is
// something to take back. kept is in each of them and was there before.
func evil(t *testing.T, kept blocks.Block) map[string]struct {
	data []byte
	is   func(error) bool
} {
	good := file(t, 3, 9<<10)
	root := []cid.Cid{rootOf(good)}
	begun := carOf(t, root, append(slices.Clone(good), kept)...)
	malformed := func(err error) bool { e := (*blocks.CARError)(nil); return errors.As(err, &e) }
	is := func(target error) func(error) bool {
		return func(err error) bool { return malformed(err) && errors.Is(err, target) }
	}
	weak, err := mh.Sum([]byte("x"), mh.SHA2_256, 8)
	if err != nil {
		t.Fatal(err)
	}
	with := func(more ...[]byte) []byte { return slices.Concat(begun, slices.Concat(more...)) }
	var v2 bytes.Buffer
	v2.Write(car.Pragma)
	if _, err := car.NewHeader(uint64(len(begun)) + 100).WriteTo(&v2); err != nil {
		t.Fatal(err)
	}
	huge := make([]byte, blocks.MaxSize+1)
	return map[string]struct {
		data []byte
		is   func(error) bool
	}{
		"a header of 32 MiB":                       {slices.Concat(varint.ToUvarint(32<<20), make([]byte, 1<<20)), malformed},
		"a header of more bytes than allowed":      {slices.Concat(varint.ToUvarint(64<<10+1), make([]byte, 64<<10+1)), malformed},
		"a section that says it has 4 GiB":         {with(varint.ToUvarint(4<<30), good[0].Cid().Bytes()), malformed},
		"a section without a CID":                  {with([]byte{0}), malformed},
		"a section cut in the middle":              {begun[:len(begun)-3], malformed},
		"a section cut after its length":           {with(varint.ToUvarint(40)), malformed},
		"bytes under another's CID":                {with(section(good[1].Cid(), []byte("something else"))), is(blocks.ErrMismatch)},
		"a block of more than 2 MiB":               {with(section(blocks.New(cid.Raw, huge).Cid(), huge)), malformed},
		"a digest of eight bytes":                  {with(section(cid.NewCidV1(cid.Raw, weak), []byte("x"))), is(blocks.ErrUnfit)},
		"version 2 with fewer blocks than it says": {slices.Concat(v2.Bytes(), begun), malformed},
		"version 2 with blocks from byte 2^60 on":  {slices.Concat(car.Pragma, make([]byte, 16), []byte{0, 0, 0, 0, 0, 0, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 8), begun), malformed},
		"a root that it does not have":             {carOf(t, []cid.Cid{root[0], blocks.New(cid.Raw, []byte("away")).Cid()}, append(slices.Clone(good), kept)...), blocks.IsNotFound},
		"a root without one of its leaves":         {carOf(t, root, append(slices.Clone(good[1:]), kept)...), blocks.IsNotFound},
		"no bytes at all":                          {nil, malformed},
	}
}

func TestNothingStaysOfAnImportThatFailed(t *testing.T) {
	alone(t, func(t *testing.T, n *node.Node, m *blockstest.Mem, kept blocks.Block) {
		for name, e := range evil(t, kept) {
			out, err := imports(t, n, e.data, blocks.ImportOptions{PutOptions: blocks.PutOptions{Wait: blocks.WaitLocal}})
			if err == nil || !e.is(err) {
				t.Errorf("%s: %+v, %v", name, out, err)
			}
			if got := keys(t, m); got != 1 {
				t.Errorf("%s: %d blocks are left, want the one that was there", name, got)
			}
			if got := pinned(t, n); len(got) != 0 {
				t.Errorf("%s: pinned %v", name, got)
			}
		}
		// The control: the same beginning is kept when nothing is wrong.
		good := file(t, 3, 9<<10)
		out, err := imports(t, n, carOf(t, []cid.Cid{rootOf(good)}, append(slices.Clone(good), kept)...), blocks.ImportOptions{PutOptions: blocks.PutOptions{Wait: blocks.WaitLocal}})
		if err != nil || keys(t, m) != len(good)+1 || out.Loose != 1 || len(pinned(t, n)) != 1 {
			t.Errorf("%+v, %d blocks, %v", out, keys(t, m), err)
		}
		// And a failed import takes away nothing of that.
		if _, err := imports(t, n, carOf(t, []cid.Cid{rootOf(good), kept.Cid(), rootOf(file(t, 4, 10))}, good...), blocks.ImportOptions{}); !blocks.IsNotFound(err) {
			t.Error(err)
		}
		if got := keys(t, m); got != len(good)+1 || len(pinned(t, n)) != 1 {
			t.Errorf("%d blocks and %d pins are left, want %d and 1", got, len(pinned(t, n)), len(good)+1)
		}
	})
}

// again gives a CAR of a million blocks that are all the same.
type again struct {
	head, one []byte
	times     int
	rest      []byte
}

func (a *again) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(a.rest) == 0 {
			switch {
			case a.head != nil:
				a.rest, a.head = a.head, nil
			case a.times > 0:
				a.rest = a.one
				a.times--
			default:
				return n, io.EOF
			}
		}
		k := copy(p[n:], a.rest)
		n, a.rest = n+k, a.rest[k:]
	}
	return n, nil
}

func TestAMillionTimesTheSameBlockCostsNoMemory(t *testing.T) {
	alone(t, func(t *testing.T, n *node.Node, m *blockstest.Mem, _ blocks.Block) {
		b := blocks.New(cid.Raw, []byte("again"))
		in := &again{head: carOf(t, []cid.Cid{b.Cid()}), one: section(b.Cid(), b.RawData()), times: 1_000_000}
		before := heap()
		out, err := n.ImportCAR(t.Context(), in, blocks.ImportOptions{PutOptions: blocks.PutOptions{Wait: blocks.WaitLocal}}, nil)
		if err != nil || out.Blocks != 1 || keys(t, m) != 2 {
			t.Fatalf("%+v, %d blocks, %v", out, keys(t, m), err)
		}
		if more := heap() - before; more > 8<<20 {
			t.Errorf("the heap has grown by %d bytes", more)
		}
	})
}

func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func TestWithoutRootsNothingIsPinned(t *testing.T) {
	alone(t, func(t *testing.T, n *node.Node, m *blockstest.Mem, _ blocks.Block) {
		bs := file(t, 5, 3<<10)
		none, err := imports(t, n, carOf(t, nil, bs...), blocks.ImportOptions{})
		if err != nil || none.Loose != len(bs) || len(none.Roots) != 0 {
			t.Errorf("a CAR without roots: %+v, %v", none, err)
		}
		part := bs[len(bs)-1]
		out, err := imports(t, n, carOf(t, []cid.Cid{file(t, 6, 10)[0].Cid()}, part), blocks.ImportOptions{NoPin: true})
		if err != nil || out.Loose != 1 || len(pinned(t, n)) != 0 || keys(t, m) != len(bs)+1 {
			t.Errorf("roots that are not to be pinned: %+v, %v; %d pins", out, err, len(pinned(t, n)))
		}
		if swept, err := n.GC(t.Context(), 0, nil); err != nil || swept.Blocks != int64(len(bs))+1 {
			t.Errorf("they stay for good: %+v, %v", swept, err)
		}
	})
}

// A root of dag-cbor is kept with what it links to, and a collection knows that.
func TestOtherCodecsAreFollowed(t *testing.T) {
	alone(t, func(t *testing.T, n *node.Node, m *blockstest.Mem, _ blocks.Block) {
		leaf := blocks.New(cid.Raw, []byte("leaf"))
		link := append([]byte{0xd8, 0x2a, 0x58, byte(leaf.Cid().ByteLen() + 1), 0}, leaf.Cid().Bytes()...)
		root := blocks.New(cid.DagCBOR, append([]byte{0x81}, link...)) // [link]
		in := carOf(t, []cid.Cid{root.Cid()}, root, leaf)
		out, err := imports(t, n, in, blocks.ImportOptions{PutOptions: blocks.PutOptions{Wait: blocks.WaitLocal}})
		if err != nil || out.Loose != 0 || out.Roots[0].Blocks != 2 {
			t.Fatalf("%+v, %v", out, err)
		}
		if swept, err := n.GC(t.Context(), 0, nil); err != nil || swept.Blocks != 1 || keys(t, m) != 2 {
			t.Errorf("%+v, %v: %d blocks are left", swept, err, keys(t, m))
		}
		var buf bytes.Buffer
		if _, err := n.ExportCAR(t.Context(), root.Cid().String(), &buf); err != nil || !bytes.Equal(buf.Bytes(), in) {
			t.Errorf("the export is another file: %v", err)
		}
		strange := blocks.New(cid.GitRaw, []byte("x"))
		if _, err := imports(t, n, carOf(t, []cid.Cid{strange.Cid()}, strange), blocks.ImportOptions{}); err == nil || keys(t, m) != 2 {
			t.Errorf("a root whose links cannot be told: %v, %d blocks", err, keys(t, m))
		}
		odd, err := cid.V1Builder{Codec: cid.Raw, MhType: mh.KECCAK_256}.Sum([]byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		sum := slices.Concat(carOf(t, []cid.Cid{odd}), section(odd, []byte("x")))
		if _, err := imports(t, n, sum, blocks.ImportOptions{}); !errors.Is(err, blocks.ErrUnfit) || keys(t, m) != 2 {
			t.Errorf("a hash that no holder takes: %v, %d blocks", err, keys(t, m))
		}
		if _, err := imports(t, n, sum, blocks.ImportOptions{PutOptions: blocks.PutOptions{NoPlace: true}}); err != nil || keys(t, m) != 3 {
			t.Errorf("the same, kept here only: %v, %d blocks", err, keys(t, m))
		}
	})
}

func TestAnExportOfWhatIsNotWholeNamesTheBlock(t *testing.T) {
	alone(t, func(t *testing.T, n *node.Node, m *blockstest.Mem, _ blocks.Block) {
		bs := file(t, 7, 4<<10)
		if err := m.Put(t.Context(), bs[1:]...); err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		_, err := n.ExportCAR(t.Context(), rootOf(bs).String(), &buf)
		if !blocks.IsNotFound(err) || !bytes.Contains([]byte(fmt.Sprint(err)), []byte(bs[0].Cid().String())) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := n.ExportCAR(ctx, rootOf(bs).String(), io.Discard); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestABlockIsPutAndGot(t *testing.T) {
	alone(t, func(t *testing.T, n *node.Node, m *blockstest.Mem, _ blocks.Block) {
		b := blocks.New(cid.Raw, []byte("one block"))
		out, err := n.PutBlock(t.Context(), b, blocks.ImportOptions{PutOptions: blocks.PutOptions{Wait: blocks.WaitLocal}}, nil)
		if err != nil || len(out.Roots) != 1 || out.Roots[0].Root != b.Cid() || len(pinned(t, n)) != 1 {
			t.Errorf("%+v, %v", out, err)
		}
		got, err := n.GetBlock(t.Context(), b.Cid().String())
		if err != nil || !bytes.Equal(got.RawData(), b.RawData()) {
			t.Errorf("%v, %v", got, err)
		}
		own, err := n.GetBlock(t.Context(), "bafkqabtimvwgy3yk")
		if err != nil || string(own.RawData()) != "hello\n" {
			t.Errorf("a CID with its data in it: %q, %v", own.RawData(), err)
		}
		parent := rootOf(file(t, 8, 4<<10))
		lone := file(t, 8, 4<<10)
		if _, err := n.PutBlock(t.Context(), lone[len(lone)-1], blocks.ImportOptions{}, nil); !blocks.IsNotFound(err) {
			t.Errorf("%s without its leaves: %v", parent, err)
		}
		if _, err := n.PutBlock(t.Context(), lone[len(lone)-1], blocks.ImportOptions{NoPin: true}, nil); err != nil || len(pinned(t, n)) != 1 || keys(t, m) != 3 {
			t.Errorf("the same, not pinned: %v", err)
		}
	})
}
