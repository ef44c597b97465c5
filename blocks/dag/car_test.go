package dag_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"
)

// carOf is what Export makes of a small file.
func carOf(t failer, seed uint64, n int) (data []byte, bs []blocks.Block) {
	t.Helper()
	st := new(blockstest.Mem)
	bs = split(t, st, blockstest.Random(seed, n), tiny)
	var buf bytes.Buffer
	if _, err := dag.Export(ctx(t), blockstest.Nodes(st), root(bs), &buf); err != nil {
		t.Fatalf("export: %v", err)
	}
	return buf.Bytes(), bs
}

// v2 is the same CAR as version 2, with a gap before its blocks and an index after them.
func v2(t *testing.T, v1 []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	buf.Write(car.Pragma)
	h := car.NewHeader(uint64(len(v1))).WithDataPadding(100).WithIndexPadding(0)
	if _, err := h.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	buf.Write(make([]byte, int(h.DataOffset)-buf.Len()))
	buf.Write(v1)
	buf.WriteString("an index, which nobody reads")
	return buf.Bytes()
}

// read gives the roots and the blocks of a CAR.
func readCAR(r io.Reader) (roots []cid.Cid, bs []blocks.Block, err error) {
	c, err := dag.ReadCAR(r)
	if err != nil {
		return nil, nil, err
	}
	for b, err := range c.Blocks() {
		if err != nil {
			return c.Roots, bs, err
		}
		bs = append(bs, b)
	}
	return c.Roots, bs, nil
}

func TestWhatIsExportedIsReadAgainInBothVersions(t *testing.T) {
	v1, bs := carOf(t, 1, 3000)
	for name, data := range map[string][]byte{"version 1": v1, "version 2": v2(t, v1)} {
		for _, r := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data))} {
			roots, got, err := readCAR(r)
			if err != nil || len(roots) != 1 || roots[0] != root(bs) {
				t.Fatalf("%s: roots %v, %v", name, roots, err)
			}
			if len(got) != len(bs) || got[0].Cid() != root(bs) {
				t.Errorf("%s: %d blocks, the first %s; want %d, depth first", name, len(got), got[0].Cid(), len(bs))
			}
		}
	}
}

// There is no place at which a CAR can be cut and taken for a whole one, but between two
// sections of version 1, which has no end.
func TestACARThatWasCutIsNotWhole(t *testing.T) {
	v1, _ := carOf(t, 2, 300)
	edges := map[int]bool{} // where sections begin
	r, err := car.NewBlockReader(bytes.NewReader(v1))
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := r.SkipNext()
		if err != nil {
			break
		}
		edges[int(b.SourceOffset)] = true
	}
	for n := range v1 {
		_, _, err := readCAR(bytes.NewReader(v1[:n]))
		if (err == nil) != edges[n] {
			t.Errorf("version 1, cut at %d of %d: %v", n, len(v1), err)
		}
		if bad := (*blocks.CARError)(nil); err != nil && !errors.As(err, &bad) {
			t.Errorf("cut at %d: %v is no CARError", n, err)
		}
	}
	two := v2(t, v1)
	for n := range len(two) - len("an index, which nobody reads") {
		if _, _, err := readCAR(bytes.NewReader(two[:n])); err == nil {
			t.Errorf("version 2, cut at %d of %d, was taken for whole", n, len(two))
		}
	}
}

func TestAReaderThatFailsIsNoBadCAR(t *testing.T) {
	v1, _ := carOf(t, 3, 3000)
	lost := errors.New("disk on fire")
	for _, n := range []int{0, 5, 1000} {
		_, _, err := readCAR(io.MultiReader(bytes.NewReader(v1[:n]), iotest.ErrReader(lost)))
		if bad := (*blocks.CARError)(nil); !errors.Is(err, lost) || errors.As(err, &bad) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// Whatever is read, every block that comes out is what its CID says, and no larger than a
// block may be.
func FuzzReadCAR(f *testing.F) {
	v1, _ := carOf(f, 4, 300)
	f.Add(v1)
	f.Add(v1[:len(v1)-1])
	f.Add(slices.Concat(car.Pragma, make([]byte, 16), []byte{51, 0, 0, 0, 0, 0, 0, 0, byte(len(v1)), byte(len(v1) >> 8), 0, 0, 0, 0, 0, 0}, make([]byte, 8), v1))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, bs, _ := readCAR(bytes.NewReader(data))
		for _, b := range bs {
			if _, err := blocks.Check(b.Cid(), b.RawData()); err != nil || len(b.RawData()) > blocks.MaxSize {
				t.Errorf("%s: %v", b.Cid(), err)
			}
		}
	})
}
