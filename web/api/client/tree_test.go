package client_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/ipfs/go-cid"
)

var leaf = blocks.New(cid.Raw, []byte("leaf")).Cid()

// trees is the part of a fake that has to do with trees and pins.
type trees struct {
	paths   []string // of the tree that was put
	treeErr error
}

var entries = []blocks.Entry{{Name: "a\nb", CID: leaf, Kind: blocks.KindFile, Size: 4}, {Name: "l", CID: leaf, Kind: blocks.KindSymlink, Size: -1, Target: "../x"}}

func (f *trees) PutTree(_ context.Context, items iter.Seq2[blocks.Item, error], o blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
	for it, err := range items {
		if err == nil && it.Body != nil {
			_, err = io.Copy(io.Discard, it.Body)
		}
		if err != nil {
			f.treeErr = err
			return blocks.Receipt{}, err
		}
		f.paths = append(f.paths, it.Path)
	}
	return blocks.Receipt{Root: leaf, Name: o.Name}, nil
}
func (f *trees) Leaves(context.Context, string) iter.Seq2[blocks.Leaf, error] { return nil }
func (f *trees) List(_ context.Context, path string) iter.Seq2[blocks.Entry, error] {
	return func(yield func(blocks.Entry, error) bool) {
		for _, e := range entries {
			if path == "none" || !yield(e, nil) {
				break
			}
		}
		if path != "dir" {
			yield(blocks.Entry{}, &blocks.MissError{CID: leaf, Asked: 3})
		}
	}
}
func (f *trees) Stat(_ context.Context, path string) (blocks.Stat, error) {
	return blocks.Stat{CID: leaf, Kind: blocks.KindSymlink, Size: 4, Total: 5, Target: "x", Pinned: true}, nil
}
func (f *trees) Pins(context.Context) iter.Seq2[blocks.Pin, error] {
	return func(yield func(blocks.Pin, error) bool) { yield(blocks.Pin{Root: leaf, Name: "n"}, nil) }
}
func (f *trees) Pin(_ context.Context, path, name string, tell func(blocks.Progress)) (blocks.Pin, error) {
	tell(blocks.Progress{Blocks: 3, Safe: 1})
	if path == "none" {
		return blocks.Pin{}, &blocks.MissError{CID: leaf, Asked: 3}
	}
	return blocks.Pin{Root: leaf, Name: name, Blocks: 3}, nil
}
func (f *trees) Unpin(_ context.Context, path string) (blocks.Pin, bool, error) {
	return blocks.Pin{Root: leaf, Name: "n"}, path != "none", nil
}

func TestATreeIsSentAsATar(t *testing.T) {
	f := &fake{}
	c := dial(t, f)
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "a/b", Typeflag: tar.TypeReg, Size: 2}), func() error { _, err := io.WriteString(w, "xy"); return err }(), w.Close()); err != nil {
		t.Fatal(err)
	}
	rc, err := c.PutTree(t.Context(), &buf, blocks.PutOptions{Name: "n"}, nil)
	if err != nil || rc.Root != leaf || rc.Name != "n" || !slices.Equal(f.paths, []string{"a/b"}) {
		t.Errorf("got %+v, %v of %q", rc, err, f.paths)
	}
}

func TestATreeWhoseReaderFailsIsNotKeptAndTheReaderIsNamed(t *testing.T) {
	mine := errors.New("mine")
	f := &fake{}
	_, err := dial(t, f).PutTree(t.Context(), io.MultiReader(strings.NewReader(strings.Repeat("\x00", 100)), iotest.ErrReader(mine)), blocks.PutOptions{}, nil)
	if !errors.Is(err, mine) {
		t.Errorf("err = %v, want %v", err, mine)
	}
}

func TestListingsSurviveTheWire(t *testing.T) {
	c := dial(t, &fake{})
	for path, want := range map[string][]blocks.Entry{"dir": entries, "broken": entries, "none": nil} {
		var got []blocks.Entry
		var last error
		for e, err := range c.List(t.Context(), path) {
			if last = err; err == nil {
				got = append(got, e)
			}
		}
		var said *client.Error
		if !slices.Equal(got, want) || blocks.IsNotFound(last) != (path != "dir") || path == "broken" && (!errors.As(last, &said) || said.Code != api.CodeNotFound) {
			t.Errorf("%s: got %+v, %v", path, got, last)
		}
	}
	for range c.List(t.Context(), "dir") {
		break
	}
}

func TestStatAndPinsSurviveTheWire(t *testing.T) {
	c := dial(t, &fake{})
	s, err := c.Stat(t.Context(), "x")
	if want := (blocks.Stat{CID: leaf, Kind: blocks.KindSymlink, Size: 4, Total: 5, Target: "x", Pinned: true}); s != want || err != nil {
		t.Errorf("stat %+v, %v", s, err)
	}
	ps, err := c.Pins(t.Context())
	if err != nil || len(ps) != 1 || ps[0].Root != leaf || ps[0].Name != "n" {
		t.Errorf("pins %+v, %v", ps, err)
	}
	heard := blocks.Progress{}
	p, err := c.Pin(t.Context(), "x", "name", func(now blocks.Progress) { heard = now })
	if err != nil || p.Root != leaf || p.Name != "name" || p.Blocks != 3 || heard.Blocks != 3 || heard.Safe != 1 {
		t.Errorf("pin %+v, %v; heard %+v", p, err, heard)
	}
	if _, err := c.Pin(t.Context(), "none", "", nil); !blocks.IsNotFound(err) {
		t.Errorf("pin of nothing: %v", err)
	}
	if p, err := c.Unpin(t.Context(), "x"); err != nil || p.Root != leaf {
		t.Errorf("unpin %+v, %v", p, err)
	}
	if _, err := c.Unpin(t.Context(), "none"); !blocks.IsNotFound(err) {
		t.Errorf("unpin of nothing: %v", err)
	}
}
