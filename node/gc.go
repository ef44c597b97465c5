package node

import (
	"context"
	"fmt"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/blocks/pins"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// sweepBlocks is how many blocks a collection forgets at a time; puts wait meanwhile.
const sweepBlocks = 128

// GC forgets blocks that nobody wants here: they are under no pin, held under no
// lease, and no put or pin that is under way has to do with them. That leaves what was
// merely read. want is how many bytes to free, 0 is all. tell hears how many blocks
// were looked at. [blocks.ErrBusy] is the answer while another runs; a [*pins.GapError] when
// it cannot be known what a pin wants.
func (n *Node) GC(ctx context.Context, want int64, tell func(blocks.Done)) (out blocks.Swept, err error) {
	if err := n.beginGC(); err != nil {
		return out, fmt.Errorf("gc: %w", err)
	}
	defer n.endGC()
	wanted, err := n.mark(ctx) // pins → everything below them
	if err != nil {
		return out, fmt.Errorf("gc: %w", err)
	}
	var batch []mh.Multihash
	var seen blocks.Done
	for h, err := range n.store.All(ctx) { // every block → is it wanted? → forget it
		if err != nil {
			return out, fmt.Errorf("gc: %w", err)
		}
		if seen.Done++; tell != nil && seen.Done%256 == 0 {
			tell(seen)
		}
		if wanted.Has(h) {
			out.Kept++
			continue
		}
		if batch = append(batch, h); len(batch) < sweepBlocks {
			continue
		}
		if err := n.sweep(ctx, batch, &out); err != nil {
			return out, fmt.Errorf("gc: %w", err)
		}
		if batch = batch[:0]; want > 0 && out.Bytes >= want {
			return out, nil
		}
	}
	if err := n.sweep(ctx, batch, &out); err != nil {
		return out, fmt.Errorf("gc: %w", err)
	}
	return out, nil
}

// mark finds what the pins want.
func (n *Node) mark(ctx context.Context) (*pins.Set, error) {
	var roots []cid.Cid
	for p, err := range n.ledger.Pins(ctx) {
		if err != nil {
			return nil, err
		}
		roots = append(roots, p.Root)
	}
	here := merkledag.NewDAGService(blockservice.New(fetch.Blockstore{Store: n.store}, nil))
	return pins.Mark(ctx, here, roots, nil)
}

// sweep forgets those of hs that nobody has asked for since the collection began.
func (n *Node) sweep(ctx context.Context, hs []mh.Multihash, out *blocks.Swept) error {
	n.mu.Lock() // no put begins to rely on a block while it goes
	defer n.mu.Unlock()
	sizes := make(map[string]int, len(hs))
	var free []mh.Multihash
	for _, h := range hs {
		if n.writing[string(h)].puts > 0 || n.fresh.Has(h) {
			out.Kept++
			continue
		}
		size, err := n.store.Size(ctx, h)
		if blocks.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		sizes[string(h)] = size
		free = append(free, h)
	}
	gone, err := n.set.Forget(ctx, free...)
	for _, h := range gone {
		out.Blocks, out.Bytes = out.Blocks+1, out.Bytes+int64(sizes[string(h)])
	}
	out.Kept += int64(len(free) - len(gone))
	return err
}

// beginGC begins an epoch: what puts and pins bring from now on stays, whatever the
// pins say that are read after this.
func (n *Node) beginGC() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fresh != nil {
		return blocks.ErrBusy
	}
	n.fresh = &pins.Set{}
	return nil
}

func (n *Node) endGC() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fresh = nil
}
