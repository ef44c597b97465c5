package node_test

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
)

// items gives files of the paths, each with its own path as its bytes, and then err.
func items(err error, paths ...string) iter.Seq2[blocks.Item, error] {
	return func(yield func(blocks.Item, error) bool) {
		for _, p := range paths {
			if !yield(blocks.Item{Path: p, Kind: blocks.KindFile, Body: strings.NewReader(p)}, nil) {
				return
			}
		}
		if err != nil {
			yield(blocks.Item{}, err)
		}
	}
}

func many(n int) (paths []string) {
	for i := range n {
		paths = append(paths, fmt.Sprintf("d%d/файл %d", i%7, i))
	}
	return paths
}

// list gives the names under path, directories left out.
func list(t *testing.T, n *node.Node, path string) (files []string) {
	t.Helper()
	for e, err := range n.List(t.Context(), path) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == blocks.KindDir {
			files = append(files, list(t, n, path+"/"+e.Name)...)
			continue
		}
		files = append(files, path+"/"+e.Name)
	}
	return files
}

func readAll(t *testing.T, n *node.Node, path string) string {
	t.Helper()
	f, err := n.Get(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The promise holds for a tree as it does for a file: its author dies, and a stranger
// reads every file of it.
func TestATreeOutlivesItsAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 8, nodetest.Config())
		rc, err := w.Nodes[0].PutTree(t.Context(), items(nil, many(50)...), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(len(strings.Join(many(50), ""))); rc.Size != want || rc.Blocks != 50+7+1 {
			t.Errorf("receipt of %d bytes and %d blocks, want %d and 58", rc.Size, rc.Blocks, want)
		}
		w.Kill(0)
		reader, root := w.Nodes[7], rc.Root.String()
		files := list(t, reader, root)
		if len(files) != 50 {
			t.Fatalf("%d files, want 50", len(files))
		}
		for _, p := range files {
			if got := root + "/" + readAll(t, reader, p); got != p {
				t.Errorf("%s has the bytes of %s", p, got)
			}
		}
		s, err := reader.Stat(t.Context(), root+"/d3")
		if err != nil || s.Kind != blocks.KindDir || s.Pinned {
			t.Errorf("stat %+v, %v", s, err)
		}
		h, err := reader.Health(t.Context(), root, false)
		if err != nil || h.Blocks != 58 || h.Min < 4 {
			t.Errorf("health %+v, %v", h, err)
		}
	})
}

// A tree that breaks off, or has an evil name at its very end, leaves nothing.
func TestAFailedTreeLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 1, nodetest.Config())
		n, cut := w.Nodes[0], errors.New("cable cut")
		if _, err := n.PutTree(ctx, items(nil, "d0/файл 0", "mine"), blocks.PutOptions{Wait: blocks.WaitLocal}, nil); err != nil {
			t.Fatal(err)
		}
		before := w.Blocks(0)
		if _, err := n.PutTree(ctx, items(cut, many(200)...), blocks.PutOptions{}, nil); !errors.Is(err, cut) {
			t.Errorf("err = %v, want %v", err, cut)
		}
		var name *blocks.NameError
		if _, err := n.PutTree(ctx, items(nil, append(many(200), "d0/../../evil")...), blocks.PutOptions{}, nil); !errors.As(err, &name) || name.Path != "d0/../../evil" {
			t.Errorf("err = %v, want one that names the entry", err)
		}
		if got := w.Blocks(0); got != before {
			t.Errorf("%d blocks, want the %d of before", got, before)
		}
		pins := 0
		for range n.Pins(ctx) {
			pins++
		}
		if pins != 1 {
			t.Errorf("%d pins, want that of the tree that was put", pins)
		}
	})
}

// A pin brings everything here: with all others gone the tree can be read.
func TestAPinnedTreeIsWholeHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 10, nodetest.Config())
		paths := append(many(30), "big")
		rc, err := w.Nodes[0].PutTree(ctx, items(nil, paths...), blocks.PutOptions{Wait: blocks.WaitFull, Name: "tree"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, root := w.Nodes[9], rc.Root.String()
		var last blocks.Progress
		pin, err := n.Pin(ctx, root, "my tree", func(p blocks.Progress) { last = p })
		if err != nil || pin.Name != "my tree" || pin.Blocks != rc.Blocks || last.Safe != rc.Blocks || last.Blocks != rc.Blocks {
			t.Fatalf("pin %+v, %v after %+v; want %d blocks", pin, err, last, rc.Blocks)
		}
		for i := range 9 {
			w.Kill(i)
		}
		if got := list(t, n, root); len(got) != 31 {
			t.Errorf("%d files, want 31", len(got))
		}
		for _, p := range paths {
			if got := readAll(t, n, root+"/"+p); got != p {
				t.Errorf("%s: got %q", p, got)
			}
		}
		if s, err := n.Stat(ctx, root); err != nil || !s.Pinned {
			t.Errorf("stat %+v, %v: want it pinned", s, err)
		}
		if was, ok, err := n.Unpin(ctx, root); err != nil || !ok || was.Name != "my tree" {
			t.Errorf("unpin %+v, %t, %v", was, ok, err)
		}
		if _, ok, err := n.Unpin(ctx, root); err != nil || ok {
			t.Errorf("unpin again: %t, %v; want nothing to unpin", ok, err)
		}
	})
}

// What nobody has whole is not pinned.
func TestAPinThatLacksABlockFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 2, nodetest.Config())
		rc, err := w.Nodes[0].PutTree(ctx, items(nil, "a", "b", "c"), blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf := blocks.New(0x55, []byte("b"))
		if err := w.Mem[0].Delete(ctx, leaf.Hash()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Nodes[1].Pin(ctx, rc.Root.String(), "", nil); !blocks.IsNotFound(err) {
			t.Errorf("err = %v, want not found", err)
		}
		if s, err := w.Nodes[1].Stat(ctx, rc.Root.String()); err != nil || s.Pinned {
			t.Errorf("stat %+v, %v: want it not pinned", s, err)
		}
	})
}

// A root that is unpinned while its copies are still on their way stays unpinned.
func TestUnpinDuringPlacementStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 8, nodetest.Config())
		rc, err := w.Nodes[0].PutTree(ctx, items(nil, many(100)...), blocks.PutOptions{Wait: blocks.WaitLocal}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if pin, ok, err := w.Nodes[0].Unpin(ctx, rc.Root.String()); err != nil || !ok || !pin.Pending {
			t.Fatalf("unpin %+v, %t, %v: want a pin that is pending", pin, ok, err)
		}
		time.Sleep(time.Minute)
		for p := range w.Nodes[0].Pins(ctx) {
			t.Errorf("pinned again: %+v", p)
		}
	})
}

func TestListAndStatSayWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 1, nodetest.Config())
		n := w.Nodes[0]
		rc, err := n.PutTree(t.Context(), items(nil, "a"), blocks.PutOptions{Wait: blocks.WaitLocal}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var path *blocks.PathError
		for _, err := range n.List(t.Context(), rc.Root.String()+"/a") {
			if !errors.As(err, &path) || !strings.Contains(err.Error(), "is not a directory") {
				t.Errorf("a file: %v", err)
			}
		}
		for _, err := range n.List(t.Context(), rc.Root.String()+"/b") {
			if !blocks.IsNotFound(err) {
				t.Errorf("nothing: %v", err)
			}
		}
		for _, err := range n.List(t.Context(), "nonsense") {
			if !errors.As(err, &path) {
				t.Errorf("nonsense: %v", err)
			}
		}
		if _, err := n.Stat(t.Context(), blocks.New(0x55, blockstest.Random(9, 9)).Cid().String()); !blocks.IsNotFound(err) {
			t.Errorf("nobody has it: %v", err)
		}
	})
}
