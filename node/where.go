package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Where says of the block that path names what those answered who should have it, when
// they were asked just now to prove it.
func (n *Node) Where(ctx context.Context, path string) (blocks.Where, error) {
	ctx, root, err := n.at(ctx, path)
	if err != nil {
		return blocks.Where{}, fmt.Errorf("where: %w", err)
	}
	w, err := n.whereIs(ctx, root)
	if err != nil {
		return w, fmt.Errorf("where: %w", err)
	}
	return w, nil
}

func (n *Node) whereIs(ctx context.Context, c cid.Cid) (blocks.Where, error) {
	if c.Prefix().MhType == mh.IDENTITY {
		return blocks.Where{}, &blocks.PathError{Path: c.String(), Reason: "the CID of a block whose bytes are in the CID itself, which no peer keeps"}
	}
	size, err := n.store.Size(ctx, c.Hash())
	if err != nil && !blocks.IsNotFound(err) {
		n.log.Debug("size not known", "cid", c, "err", err)
	}
	return n.set.Where(ctx, replica.Sized{CID: c, Size: int64(size)}, n.fetch)
}

// Why says why what is under path cannot be read, or is short of copies: the first block
// that nobody has, or the one with the fewest copies, and what was answered of it.
func (n *Node) Why(ctx context.Context, path string) (blocks.Why, error) {
	ctx, root, err := n.at(ctx, path)
	if gone := new(blocks.MissError); errors.As(err, &gone) {
		return n.gone(ctx, gone.CID, gone)
	}
	if err != nil {
		return blocks.Why{}, fmt.Errorf("why: %w", err)
	}
	all, err := n.everything(ctx, root)
	if gone := new(blocks.MissError); errors.As(err, &gone) {
		return n.gone(ctx, root, gone)
	}
	if err != nil {
		return blocks.Why{}, fmt.Errorf("why: %w", err)
	}
	h, err := n.set.Health(ctx, root, all, n.fetch)
	if err != nil {
		return blocks.Why{}, fmt.Errorf("why: %w", err)
	}
	n.seen.note(root, h.Min)
	why := blocks.Why{Root: root, Whole: h.Good(), Reason: h.Sentence(), Health: &h}
	if !why.Whole {
		worst := h.Detail[0]
		for _, b := range h.Detail {
			if len(b.Holders) < len(worst.Holders) {
				worst = b
			}
		}
		w, err := n.whereIs(ctx, worst.CID)
		if err != nil {
			return why, fmt.Errorf("why: %w", err)
		}
		why.Worst = &w
		why.Reason = fmt.Sprintf("%s: %s", worst.CID, w.Sentence())
	}
	h.Detail = nil
	return why, nil
}

// gone explains a block without which the blocks below it are not known.
func (n *Node) gone(ctx context.Context, root cid.Cid, miss *blocks.MissError) (blocks.Why, error) {
	w, err := n.whereIs(ctx, miss.CID)
	if err != nil {
		return blocks.Why{}, fmt.Errorf("why: %w", err)
	}
	return blocks.Why{Root: root, Worst: &w, Reason: fmt.Sprintf("%s: %s", miss.Error(), w.Sentence())}, nil
}

// Restore gives missing copies of everything under path now. It needs somebody to have
// each block, and a lease that says how many copies there are to be: without one the
// error is [blocks.ErrNoLease].
func (n *Node) Restore(ctx context.Context, path string, tell func(blocks.Done)) (blocks.Restored, error) {
	ctx, root, err := n.at(ctx, path)
	if err != nil {
		return blocks.Restored{}, fmt.Errorf("repair: %w", err)
	}
	all, err := n.everything(ctx, root)
	if err != nil {
		return blocks.Restored{}, fmt.Errorf("repair: %w", err)
	}
	if len(all) == 0 { // the root's bytes are in its CID
		return blocks.Restored{Root: root}, nil
	}
	out, err := n.set.Restore(ctx, root, all, n.fetch, tell)
	if err != nil {
		return out, fmt.Errorf("repair: %w", err)
	}
	return out, nil
}
