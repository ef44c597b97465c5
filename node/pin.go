package node

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// List yields the entries of the directory that path names, as they are found.
func (n *Node) List(ctx context.Context, path string) iter.Seq2[blocks.Entry, error] {
	return func(yield func(blocks.Entry, error) bool) {
		root, err := n.Resolve(ctx, path)
		if err != nil {
			yield(blocks.Entry{}, fmt.Errorf("list: %w", err))
			return
		}
		for e, err := range dag.List(ctx, n.nodes(ctx), root) {
			if err != nil {
				err = fmt.Errorf("list: %w", notDir(path, err))
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Stat says what path names.
func (n *Node) Stat(ctx context.Context, path string) (blocks.Stat, error) {
	root, err := n.Resolve(ctx, path)
	if err != nil {
		return blocks.Stat{}, fmt.Errorf("stat: %w", err)
	}
	s, err := dag.Stat(ctx, n.nodes(ctx), root)
	if err != nil {
		return s, fmt.Errorf("stat: %w", err)
	}
	_, s.Pinned, err = n.ledger.Pinned(ctx, root)
	return s, err
}

// Pins yields the roots that this peer's owner wants kept here, puts among them.
func (n *Node) Pins(ctx context.Context) iter.Seq2[blocks.Pin, error] { return n.ledger.Pins(ctx) }

// pinners is how many blocks a pin fetches at a time.
const pinners = 16

// Pin fetches everything under path and keeps it here until [Node.Unpin]. tell hears
// how many blocks are known of, and how many are here. What was put here is pinned
// already, and only gets its new name.
func (n *Node) Pin(ctx context.Context, path, name string, tell func(blocks.Progress)) (blocks.Pin, error) {
	root, err := n.Resolve(ctx, path)
	if err != nil {
		return blocks.Pin{}, fmt.Errorf("pin: %w", err)
	}
	pin := blocks.Pin{Root: root, Name: name, Time: time.Now()}
	var claimed []mh.Multihash
	defer func() { n.release(claimed, true) }() // what a failed pin fetched was read, and stays as such
	if claimed, pin.Size, err = n.bring(ctx, root, tell); err != nil {
		return blocks.Pin{}, fmt.Errorf("pin: %w", err)
	}
	pin.Blocks = len(claimed)
	if s, err := dag.Stat(ctx, n.nodes(ctx), root); err == nil && s.Kind == blocks.KindFile {
		pin.Size = s.Size // not what its blocks take
	}
	if pin, err = n.again(ctx, pin); err != nil {
		return blocks.Pin{}, fmt.Errorf("pin: %w", err)
	}
	if err := n.ledger.Pin(ctx, pin); err != nil {
		return blocks.Pin{}, fmt.Errorf("pin: %w", err)
	}
	return pin, nil
}

// bring fetches every block under root that is not here, and counts their bytes. What
// it gives, also with an error, is claimed.
func (n *Node) bring(ctx context.Context, root cid.Cid, tell func(blocks.Progress)) (claimed []mh.Multihash, bytes int64, err error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(pinners)
	var here atomic.Int64
	session := n.nodes(gctx)
	for v, err := range dag.Walk(gctx, session, root) {
		if err != nil {
			return claimed, 0, cmp.Or(g.Wait(), err)
		}
		if err := n.claim(ctx, v.CID.Hash()); err != nil {
			return claimed, 0, cmp.Or(g.Wait(), err)
		}
		claimed, bytes = append(claimed, v.CID.Hash()), bytes+v.Size
		if tell != nil {
			tell(blocks.Progress{Blocks: len(claimed), Safe: int(here.Load())})
		}
		g.Go(func() error {
			there, err := n.store.Has(gctx, v.CID.Hash())
			if err == nil && !there {
				_, err = session.Get(gctx, v.CID)
			}
			here.Add(1)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return claimed, 0, err
	}
	if tell != nil {
		tell(blocks.Progress{Blocks: len(claimed), Safe: len(claimed)})
	}
	return claimed, bytes, nil
}

// Unpin forgets the pin of path and gives it; ok is false when there was none. Its
// blocks may be forgotten from now on; copies that others hold under a lease stay.
func (n *Node) Unpin(ctx context.Context, path string) (pin blocks.Pin, ok bool, err error) {
	root, err := n.Resolve(ctx, path)
	if err == nil {
		pin, ok, err = n.ledger.Pinned(ctx, root)
	}
	if err == nil && ok {
		err = n.ledger.Unpin(ctx, root)
	}
	if err != nil {
		return pin, false, fmt.Errorf("unpin: %w", err)
	}
	pin.Root = root
	return pin, ok, nil
}

// again gives pin, or the one of its root that stands here with the name of pin: its lease
// and its journal are not for who merely wants it here to take away.
func (n *Node) again(ctx context.Context, pin blocks.Pin) (blocks.Pin, error) {
	old, there, err := n.ledger.Pinned(ctx, pin.Root)
	if err != nil || !there {
		return pin, err
	}
	old.Name = anew(pin.Name, old.Name)
	return old, nil
}

// pinName is the name of pin, or the one that its root has here: who does not name it again
// takes no name away.
func (n *Node) pinName(ctx context.Context, pin blocks.Pin) (string, error) {
	if pin.Name != "" {
		return pin.Name, nil
	}
	old, _, err := n.ledger.Pinned(ctx, pin.Root)
	return anew("", old.Name), err
}
