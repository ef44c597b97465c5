package dag

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// Leaves yields the blocks that hold the bytes of the file under root, in their order, as its
// parents state them: a raw leaf is not asked for. Who has a piece of the file can check it by
// them. After an error it yields nothing more; [ErrDir] says that root is no file.
func Leaves(ctx context.Context, ng ipld.NodeGetter, root cid.Cid) iter.Seq2[blocks.Leaf, error] {
	return func(yield func(blocks.Leaf, error) bool) {
		w := leafWalk{ng: ng, yield: func(l blocks.Leaf) bool { return yield(l, nil) }}
		err := w.under(ctx, root, -1, 0)
		if err != nil && !errors.Is(err, errStopped) {
			yield(blocks.Leaf{}, fmt.Errorf("dag: leaves of %s: %w", root, err))
		}
	}
}

type leafWalk struct {
	ng    ipld.NodeGetter
	yield func(blocks.Leaf) bool
	at    int64
}

// under walks what is below c, which has size bytes of the file; -1 is not known.
func (w *leafWalk) under(ctx context.Context, c cid.Cid, size int64, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("deeper than %d", maxDepth)
	}
	if err := readable(c); err != nil {
		return err
	}
	if c.Type() == cid.Raw && size >= 0 {
		return w.leaf(c, size)
	}
	n, err := w.ng.Get(ctx, c)
	if err != nil {
		return err
	}
	if c.Type() == cid.Raw {
		return w.leaf(c, int64(len(n.RawData())))
	}
	fsn, err := unixfs.ExtractFSNode(n)
	switch {
	case err != nil:
		return err
	case fsn.IsDir():
		return ErrDir
	case fsn.NumChildren() != len(n.Links()):
		return fmt.Errorf("%s has %d children and the sizes of %d", c, len(n.Links()), fsn.NumChildren())
	case len(n.Links()) == 0:
		return w.leaf(c, int64(len(fsn.Data())))
	}
	for i, link := range n.Links() {
		size := fsn.BlockSize(i)
		if size > blocks.MaxSize && link.Cid.Type() == cid.Raw {
			return fmt.Errorf("%s claims a leaf of %d bytes", c, size)
		}
		if err := w.under(ctx, link.Cid, int64(min(size, 1<<62)), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *leafWalk) leaf(c cid.Cid, size int64) error {
	if !w.yield(blocks.Leaf{CID: c, Offset: w.at, Size: size}) {
		return errStopped
	}
	w.at += size
	return nil
}
