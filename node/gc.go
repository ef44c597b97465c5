package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
// merely read. want is how many bytes to free, 0 is all; those that were asked for
// longest ago go first. tell hears how many blocks were looked at. [blocks.ErrBusy] is
// the answer while another runs; a [*pins.GapError] when it cannot be known what a pin
// wants.
func (n *Node) GC(ctx context.Context, want int64, tell func(blocks.Done)) (blocks.Swept, error) {
	return n.collect(ctx, tell, func(idle int64) int64 {
		if want == 0 {
			return idle
		}
		return min(want, idle)
	})
}

// idle is a block that nobody wants.
type idle struct {
	h    mh.Multihash
	size int64
	used uint64
}

// collect is GC of as many bytes as much says of those that nobody wants.
func (n *Node) collect(ctx context.Context, tell func(blocks.Done), much func(idle int64) int64) (out blocks.Swept, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("gc: %w", err)
		}
	}()
	if err := n.beginGC(); err != nil {
		return out, err
	}
	defer n.endGC()
	wanted, err := n.mark(ctx) // pins → everything below them
	if err != nil {
		return out, err
	}
	var found []idle
	var bytes int64
	var seen blocks.Done
	for h, err := range n.store.All(ctx) { // every block → is it wanted? → how old is it?
		if err != nil {
			return out, err
		}
		if seen.Done++; tell != nil && seen.Done%256 == 0 {
			tell(seen)
		}
		if keep, err := n.wants(ctx, wanted, h); err != nil || keep {
			if err != nil {
				return out, err
			}
			out.Kept++
			continue
		}
		one, err := n.age(ctx, h)
		if blocks.IsNotFound(err) {
			continue
		}
		if err != nil {
			return out, err
		}
		found, bytes = append(found, one), bytes+one.size
	}
	slices.SortFunc(found, func(a, b idle) int { return cmp.Compare(a.used, b.used) })
	todo, rest := much(bytes), func(context.Context) {}
	if n.disk != nil {
		rest = n.disk.Resting()
	}
	for len(found) > 0 && out.Bytes < todo { // → forget it, the oldest first
		part := found[:min(len(found), sweepBlocks)]
		if todo < bytes {
			part = least(part, todo-out.Bytes)
		}
		found = found[len(part):]
		if err := n.sweep(ctx, part, &out); err != nil {
			return out, err
		}
		rest(ctx)
	}
	out.Kept += int64(len(found))
	return out, nil
}

// least is as much of the beginning of part as has want bytes.
func least(part []idle, want int64) []idle {
	for i := range part {
		if want -= part[i].size; want <= 0 {
			return part[:i+1]
		}
	}
	return part
}

// wants reports whether h is wanted here, as far as can be told at a glance.
func (n *Node) wants(ctx context.Context, wanted *pins.Set, h mh.Multihash) (bool, error) {
	if wanted.Has(h) {
		return true, nil
	}
	ls, err := n.ledger.Leases(ctx, h)
	return slices.ContainsFunc(blocks.Standing(ls, time.Now()), func(l blocks.Lease) bool { return l.Publisher != n.host.ID() }), err
}

func (n *Node) age(ctx context.Context, h mh.Multihash) (one idle, err error) {
	size, err := n.store.Size(ctx, h)
	if err == nil && n.disk != nil {
		one.used, err = n.disk.Used(ctx, h)
	}
	one.h, one.size = h, int64(size)
	return one, err
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

// sweep forgets those of part that nobody has asked for since the collection began.
func (n *Node) sweep(ctx context.Context, part []idle, out *blocks.Swept) error {
	n.mu.Lock() // no put begins to rely on a block while it goes
	defer n.mu.Unlock()
	sizes := make(map[string]int64, len(part))
	var free []mh.Multihash
	for _, b := range part {
		if n.writing[string(b.h)].puts > 0 || n.fresh.Has(b.h) {
			out.Kept++
			continue
		}
		sizes[string(b.h)] = b.size
		free = append(free, b.h)
	}
	gone, err := n.set.Forget(ctx, free...)
	for _, h := range gone {
		out.Blocks, out.Bytes = out.Blocks+1, out.Bytes+sizes[string(h)]
	}
	out.Kept += int64(len(free) - len(gone))
	return err
}

// tidy keeps what was merely read within its space, for as long as the peer lives.
func (n *Node) tidy(ctx context.Context) error {
	limit := int64(n.cfg.Store.Cache)
	if limit <= 0 {
		return nil // as much as there is
	}
	tick := time.NewTicker(n.cfg.Timing().Tidy)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		out, err := n.collect(ctx, nil, func(idle int64) int64 {
			if idle <= limit {
				return 0
			}
			return idle - limit/10*9 // so that it need not be done again at once
		})
		switch {
		case ctx.Err() != nil, errors.Is(err, blocks.ErrBusy):
		case err != nil:
			n.log.Warn("what was read is not kept within its space", "err", err)
		case out.Blocks > 0:
			n.log.Info("forgot what was read longest ago", "blocks", out.Blocks, "bytes", out.Bytes)
		}
	}
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
