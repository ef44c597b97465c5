package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multicodec"
)

// single is the part of a fake node that has to do with blocks as such.
type single struct{}

var one = blocks.New(cid.Raw, []byte("one block"))

func (single) ImportCAR(_ context.Context, r io.Reader, o blocks.ImportOptions, tell func(blocks.Progress)) (blocks.Imported, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return blocks.Imported{}, err
	}
	tell(blocks.Progress{Blocks: len(data), Copies: []int{1}})
	out := blocks.Imported{Blocks: len(data), Bytes: 7, Loose: 1, Roots: []blocks.Receipt{{Root: one.Cid()}, {Root: leaf}}}
	switch string(data) {
	case "short":
		return out, &blocks.ShortError{Root: one.Cid()}
	case "bad":
		return out, &blocks.CARError{Offset: 3, Err: blocks.ErrMismatch}
	case "gap":
		return out, &blocks.GapError{Root: one.Cid(), Missing: leaf}
	}
	if o.NoPin {
		out.Roots = nil
	}
	return out, nil
}

func (single) ExportCAR(_ context.Context, path string, w io.Writer) (blocks.DAGStat, error) {
	out := blocks.DAGStat{Root: one.Cid(), Blocks: 2, Bytes: 9}
	switch path {
	case "small":
		_, err := w.Write([]byte("a CAR"))
		return out, err
	case "away":
		if _, err := w.Write([]byte("begun")); err != nil {
			return out, err
		}
		return out, blocks.NotFound(leaf)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil { // more than is held back
		return out, err
	}
	return out, blocks.NotFound(leaf)
}

func (single) GetBlock(context.Context, string) (blocks.Block, error) { return one, nil }

func (single) PutBlock(_ context.Context, b blocks.Block, _ blocks.ImportOptions, _ func(blocks.Progress)) (blocks.Imported, error) {
	return blocks.Imported{Blocks: 1, Roots: []blocks.Receipt{{Root: b.Cid()}}}, nil
}

func TestAnImportTellsOfEveryRoot(t *testing.T) {
	c := dial(t, &fake{})
	told := 0
	out, err := c.Import(t.Context(), bytes.NewReader([]byte("four")), blocks.ImportOptions{}, func(blocks.Progress) { told++ })
	if err != nil || out.Blocks != 4 || out.Bytes != 7 || out.Loose != 1 || len(out.Roots) != 2 || out.Roots[1].Root != leaf || told == 0 {
		t.Errorf("%+v, %v, told %d times", out, err, told)
	}
	if out, err := c.Import(t.Context(), bytes.NewReader(nil), blocks.ImportOptions{NoPin: true}, nil); err != nil || len(out.Roots) != 0 {
		t.Errorf("without pins: %+v, %v", out, err)
	}
	out, err = c.Import(t.Context(), bytes.NewReader([]byte("short")), blocks.ImportOptions{}, nil)
	if !errors.Is(err, &client.Error{Code: api.CodeShort}) || len(out.Roots) != 2 {
		t.Errorf("too few copies: %+v, %v", out, err)
	}
	for data, code := range map[string]string{"bad": api.CodeIntegrity, "gap": api.CodeNotFound} {
		if out, err = c.Import(t.Context(), bytes.NewReader([]byte(data)), blocks.ImportOptions{}, nil); !errors.Is(err, &client.Error{Code: code}) || len(out.Roots) != 0 {
			t.Errorf("%s: %+v, %v", data, out, err)
		}
	}
}

func TestAnExportThatIsNotWholeIsNeverTakenForOne(t *testing.T) {
	c := dial(t, &fake{})
	r, err := c.Export(t.Context(), "small")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "a CAR" {
		t.Errorf("%q, %v", got, err)
	}
	r.Close()
	if _, err := c.Export(t.Context(), "away"); !blocks.IsNotFound(err) {
		t.Errorf("known before anything was sent: %v", err)
	}
	if r, err = c.Export(t.Context(), "long"); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, io.ErrUnexpectedEOF) || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	r.Close()
	if _, err := c.DAGStat(t.Context(), "long"); !blocks.IsNotFound(err) {
		t.Errorf("why: %v", err)
	}
	if st, err := c.DAGStat(t.Context(), "small"); err != nil || st.Blocks != 2 || st.Bytes != 9 || st.Root != one.Cid() {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestABlockSurvivesTheWire(t *testing.T) {
	c := dial(t, &fake{})
	b, err := c.Block(t.Context(), "x")
	if err != nil || b.Cid() != one.Cid() || !bytes.Equal(b.RawData(), one.RawData()) {
		t.Errorf("%v, %v", b, err)
	}
	if st, err := c.BlockStat(t.Context(), "x"); err != nil || st.Size != 9 || st.CID != one.Cid() {
		t.Errorf("%+v, %v", st, err)
	}
	out, err := c.PutBlock(t.Context(), []byte("x"), "dag-cbor", "sha2-512", blocks.ImportOptions{}, nil)
	if err != nil || len(out.Roots) != 1 || out.Roots[0].Root.Type() != cid.DagCBOR || out.Roots[0].Root.Prefix().MhType != uint64(multicodec.Sha2_512) {
		t.Errorf("%+v, %v", out, err)
	}
	for _, q := range [][2]string{{"nonsense", ""}, {"", "identity"}, {"", "md5"}} {
		if _, err := c.PutBlock(t.Context(), []byte("x"), q[0], q[1], blocks.ImportOptions{}, nil); !errors.Is(err, &client.Error{Code: api.CodeUsage}) {
			t.Errorf("%q: %v", q, err)
		}
	}
	if _, err := c.PutBlock(t.Context(), make([]byte, blocks.MaxSize+1), "", "", blocks.ImportOptions{}, nil); !errors.Is(err, &client.Error{Code: api.CodeUsage}) {
		t.Errorf("more than a block: %v", err)
	}
}
