package dag

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
)

// maxDepth is the deepest that Walk goes below a root. A balanced file of an
// exabyte is four deep.
const maxDepth = 1024

// Visit is a block under a root.
type Visit struct {
	CID  cid.Cid
	Size int64 // bytes of the block; for a raw leaf what its parent says
}

// Walk yields each distinct block under root once, the root first, by
// multihash: the same bytes under two CIDs are one block. It gets what has
// links and does not get raw leaves, other than a raw root. Data that stands in
// its own CID is no block and is not yielded. Memory grows with the number of
// distinct blocks. After an error it yields nothing more.
func Walk(ctx context.Context, ng ipld.NodeGetter, root cid.Cid) iter.Seq2[Visit, error] {
	return func(yield func(Visit, error) bool) {
		w := walker{ng: ng, seen: make(map[string]bool)}
		if err := w.run(ctx, root, func(v Visit) bool { return yield(v, nil) }); err != nil {
			yield(Visit{}, fmt.Errorf("dag: walk %s: %w", root, err))
		}
	}
}

type walker struct {
	ng   ipld.NodeGetter
	seen map[string]bool // by multihash: met, and true once its links were followed
	todo []step          // the next one last
}

type step struct {
	c     cid.Cid
	tsize uint64 // what the parent says
	depth int
}

func (w *walker) run(ctx context.Context, root cid.Cid, yield func(Visit) bool) error {
	w.todo = append(w.todo, step{c: root})
	for len(w.todo) > 0 {
		s := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		key := string(s.c.Hash())
		followed, met := w.seen[key]
		leaf := s.c.Type() == cid.Raw
		if followed || met && leaf {
			continue
		}
		if s.depth > maxDepth {
			return fmt.Errorf("deeper than %d", maxDepth)
		}
		size, err := w.expand(ctx, s)
		if err != nil {
			return err
		}
		w.seen[key] = !leaf
		if met || s.c.Prefix().MhType == mh.IDENTITY {
			continue
		}
		if !yield(Visit{CID: s.c, Size: size}) {
			return nil
		}
	}
	return nil
}

// expand gives the size of the block at s and puts its children on the list.
func (w *walker) expand(ctx context.Context, s step) (int64, error) {
	if err := linked(s.c); err != nil {
		return 0, fmt.Errorf("%s: %w", s.c, err)
	}
	if s.c.Type() == cid.Raw && (s.depth > 0 || s.c.Prefix().MhType == mh.IDENTITY) {
		if s.tsize > blocks.MaxSize {
			return 0, fmt.Errorf("%s: leaf of %d bytes, limit %d", s.c, s.tsize, blocks.MaxSize)
		}
		return int64(s.tsize), nil
	}
	n, err := w.ng.Get(ctx, s.c)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.c, err)
	}
	for _, l := range slices.Backward(n.Links()) {
		w.todo = append(w.todo, step{c: l.Cid, tsize: l.Size, depth: s.depth + 1})
	}
	return int64(len(n.RawData())), nil
}
