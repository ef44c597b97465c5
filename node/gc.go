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
	ipld "github.com/ipfs/go-ipld-format"
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
	return n.collect(ctx, tell, nil, func(idle int64) int64 {
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
	over bool // it was held for others, under leases that are over
}

// collect is GC of as many bytes as much says of those that nobody wants, and that only,
// if there is one, picks. What was merely read goes before what leases held that are over.
func (n *Node) collect(ctx context.Context, tell func(blocks.Done), only func(idle) bool, much func(idle int64) int64) (out blocks.Swept, err error) {
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
		if only != nil && !only(one) {
			out.Kept++
			continue
		}
		found, bytes = append(found, one), bytes+one.size
	}
	slices.SortFunc(found, func(a, b idle) int {
		if a.over != b.over {
			if b.over {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.used, b.used)
	})
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
	now := time.Now()
	return slices.ContainsFunc(ls, func(l blocks.Lease) bool { return !l.Lapsed(now) && l.Publisher != n.host.ID() }), err
}

func (n *Node) age(ctx context.Context, h mh.Multihash) (one idle, err error) {
	size, err := n.store.Size(ctx, h)
	if err == nil && n.disk != nil {
		one.used, err = n.disk.Used(ctx, h)
	}
	if err == nil {
		var ls []blocks.Lease
		ls, err = n.ledger.Leases(ctx, h)
		one.over = slices.ContainsFunc(ls, func(l blocks.Lease) bool { return l.Publisher != n.host.ID() })
	}
	one.h, one.size = h, int64(size)
	return one, err
}

// mark finds what the pins want, and what is held.
func (n *Node) mark(ctx context.Context) (*pins.Set, error) {
	roots := n.holding()
	for p, err := range n.ledger.Pins(ctx) {
		if err != nil {
			return nil, err
		}
		roots = append(roots, p.Root)
	}
	return pins.Mark(ctx, n.here(), roots, nil)
}

// here reads DAG nodes of what is on this peer's disk.
func (n *Node) here() ipld.NodeGetter {
	return merkledag.NewDAGService(blockservice.New(fetch.Blockstore{Store: n.store}, nil))
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
		out, err := n.collect(ctx, nil, func(b idle) bool { return !b.over }, func(idle int64) int64 {
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

// relieve forgets what was held under leases that are over when others need the space
// given to them, asked for longest ago first, and no more than was lacking and a tenth of that space.
// Where that is not enough, publishers above their share give way. Nothing goes while there is space.
func (n *Node) relieve(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.set.Pressed():
		}
		lacking := int64(0)
		out, err := n.collect(ctx, nil, func(b idle) bool { return b.over }, func(idle int64) int64 {
			_, limit := n.set.Space()
			lacking = n.set.Lacking()
			return min(idle, lacking+limit/10)
		})
		switch {
		case ctx.Err() != nil:
		case err != nil && !errors.Is(err, blocks.ErrBusy):
			n.log.Warn("no space is made for others", "err", err)
		case out.Blocks > 0:
			n.log.Info("forgot what leases held that are over", "blocks", out.Blocks, "bytes", out.Bytes)
		}
		if err == nil && out.Bytes < lacking {
			n.displace(ctx)
		}
		pause := time.NewTimer(n.cfg.Timing().Tidy) // a pass looks at every block
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// displace has publishers that have more than their share give way to those that have less.
func (n *Node) displace(ctx context.Context) {
	out, err := n.set.Displace(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		n.log.Warn("no publisher gives way to others", "err", err)
	case out.Blocks+out.Kept > 0:
		n.log.Info("publishers above their share gave way to others", "blocks", out.Blocks, "bytes", out.Bytes, "kept", out.Kept)
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
