package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/pubsub"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Put keeps the file r on this peer and on the members closest to each of its
// blocks. When it returns nil every block is on as many other disks as o.Wait asks
// for; from then on this peer may go away. tell hears how far the copies are.
//
// A [*blocks.ShortError] comes with a receipt: the file is kept here and queued,
// and [Node.Run] goes on with it; so it is when ctx ends while copies are waited for.
// After an error before that, nothing is left of the file that was not there already.
func (n *Node) Put(ctx context.Context, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	file := &counted{Reader: r}
	return n.put(ctx, content{func(l dag.Layout) iter.Seq2[blocks.Block, error] { return dag.Split(file, l) }, &file.n}, o, tell) // file → chunks → blocks
}

// PutTree keeps the tree that items make, as [Node.Put] keeps a file. An item that no
// tree may have is a [*blocks.NameError].
func (n *Node) PutTree(ctx context.Context, items iter.Seq2[blocks.Item, error], o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	size := new(int64)
	items = sized(items, size)
	return n.put(ctx, content{func(l dag.Layout) iter.Seq2[blocks.Block, error] { return dag.Build(items, l) }, size}, o, tell) // tree → blocks
}

// content is a file or a tree that is to be put.
type content struct {
	blocks func(dag.Layout) iter.Seq2[blocks.Block, error] // the root last
	size   *int64                                          // bytes of its files, so far
}

// sized adds the bytes of every file of items to size.
func sized(items iter.Seq2[blocks.Item, error], size *int64) iter.Seq2[blocks.Item, error] {
	return func(yield func(blocks.Item, error) bool) {
		for it, err := range items {
			body := &counted{Reader: it.Body}
			if it.Body != nil {
				it.Body = body
			}
			more := yield(it, err)
			if *size += body.n; !more {
				return
			}
		}
	}
}

func (n *Node) put(ctx context.Context, what content, o blocks.PutOptions, tell func(blocks.Progress)) (rc blocks.Receipt, err error) {
	began := time.Now()
	defer func() { rc.Took = blocks.Seconds(time.Since(began)) }()
	chosen := o.Expires != 0
	o, err = n.putDefaults(o)
	if err != nil {
		return rc, fmt.Errorf("put: %w", err)
	}

	if o.HashOnly {
		return n.hash(ctx, what, o)
	}

	// Phase one: it is all here, on the disk, and we know its name.
	// Until it is held or pinned another put that fails must not take it away again.
	w, err := n.write(ctx, what, o) // blocks → local store
	kept := false
	defer func() { n.release(w.hashes, kept) }()
	if err != nil {
		return rc, fmt.Errorf("put: %w", err)
	}
	pin := blocks.Pin{Root: w.root, Name: o.Name, Size: w.size, Blocks: len(w.hashes), Time: began}
	rc.Root, rc.Name, rc.Size = pin.Root, pin.Name, pin.Size
	rc.Blocks, rc.Target = pin.Blocks, o.Replicas
	if o.Unpinned {
		kept = true // nobody takes it away at once
		return rc, nil
	}
	if o.NoPlace {
		if pin, err = n.again(ctx, pin); err != nil {
			return rc, fmt.Errorf("put: %w", err)
		}
		if err := n.ledger.Pin(ctx, pin); err != nil {
			return rc, fmt.Errorf("put: %w", err)
		}
		kept = true
		n.recorded(pin.Root)
		return rc, nil
	}
	lease, err := n.lease(ctx, w, o)
	if err != nil {
		return rc, fmt.Errorf("put: %w", err)
	}
	if pin.Name, err = n.pinName(ctx, pin); err != nil {
		return rc, fmt.Errorf("put: %w", err)
	}
	pin.Lease, pin.Pending, pin.Ends = lease.ID(), true, chosen
	if err := n.ledger.Hold(ctx, lease, w.hashes...); err != nil { // → lease
		return rc, fmt.Errorf("put: %w", err)
	}
	if err := n.ledger.Pin(ctx, pin); err != nil { // → journal
		return rc, fmt.Errorf("put: %w", err)
	}

	kept = true
	n.recorded(pin.Root)

	// Phase two belongs to Run; we wait for as much of it as was asked for.
	placing := time.Now()
	job := n.set.QueueFanout(lease, pin, o.Fanout)
	rc.Progress, err = job.Wait(ctx, o.Wait, tell) // → holders → quorum
	rc.Holders, rc.Least = job.Holders()
	n.seen.note(rc.Root, rc.Least)
	if err != nil {
		return rc, fmt.Errorf("put: %w", err)
	}
	if o.Wait != blocks.WaitLocal {
		n.count.placed.Observe(time.Since(placing).Seconds())
	}
	rc.Announced = o.Announce && n.announce(ctx, rc) // → announcement
	return rc, nil
}

// announce tells the listing topic of rc, and whether it could.
func (n *Node) announce(ctx context.Context, rc blocks.Receipt) bool {
	_, err := n.bus.Publish(ctx, pubsub.Update{Root: rc.Root.String(), Name: rc.Name, Size: rc.Size})
	if err != nil {
		n.log.Warn("put not announced", "root", rc.Root, "err", err)
	}
	return err == nil
}

func (n *Node) putDefaults(o blocks.PutOptions) (blocks.PutOptions, error) {
	if o.Wait == "" {
		o.Wait = blocks.WaitQuorum
	}
	if o.Replicas == 0 {
		o.Replicas = n.cfg.Replica.R
	}
	if o.Replicas < 1 || o.Replicas > blocks.MaxReplicas {
		return o, fmt.Errorf("%d replicas: want 1 to %d", o.Replicas, blocks.MaxReplicas)
	}
	if o.Fanout < 0 || o.Fanout > blocks.MaxReplicas {
		return o, fmt.Errorf("a fan-out of %d: want 1 to %d", o.Fanout, blocks.MaxReplicas)
	}
	if o.Expires == 0 {
		o.Expires = time.Duration(n.cfg.Replica.Expires)
	}
	if o.Expires < blocks.MinLeaseTime || o.Expires > blocks.MaxLeaseTime {
		return o, fmt.Errorf("a lease of %s: want 1m to %s", o.Expires, Duration(blocks.MaxLeaseTime))
	}
	return o, nil
}

// lease grants the blocks of w their copies. A lease of the same root that stands
// already is renewed.
func (n *Node) lease(ctx context.Context, w written, o blocks.PutOptions) (blocks.Lease, error) {
	now := time.Now()
	l := blocks.Lease{Publisher: n.host.ID(), Root: w.root, Seq: 1, Issued: now, Expires: now.Add(o.Expires), Bytes: uint64(w.bytes), R: o.Replicas}
	old, ok, err := n.ledger.Lease(ctx, l.ID())
	if err != nil {
		return l, err
	}
	if ok {
		l.Seq = old.Seq + 1
	}
	return blocks.Grant(n.key, l)
}

// written is a file or a tree that is on this peer's disk.
type written struct {
	root   cid.Cid
	size   int64          // bytes of its files
	bytes  int64          // of its distinct blocks
	hashes []mh.Multihash // of those, in the order they were made: claimed until they are released
}

// write keeps the blocks of what. They are the caller's to release, also after an error.
func (n *Node) write(ctx context.Context, what content, o blocks.PutOptions) (w written, err error) {
	layout, err := dag.LayoutOf(o)
	if err != nil {
		return w, err
	}
	seen := map[string]bool{}
	out := batches{put: n.store.Put}
	defer func() { err = errors.Join(err, out.end()) }() // who releases them finds them written
	for b, err := range what.blocks(layout) {
		if err != nil {
			return w, err
		}
		w.root = b.Cid()
		if seen[string(b.Hash())] {
			continue
		}
		seen[string(b.Hash())] = true
		if err := n.claim(ctx, b.Hash()); err != nil {
			return w, err
		}
		w.hashes, w.bytes = append(w.hashes, b.Hash()), w.bytes+int64(len(b.RawData()))
		if err := out.add(ctx, b); err != nil {
			return w, err
		}
		if ctx.Err() != nil {
			return w, ctx.Err()
		}
	}
	w.size = *what.size
	return w, out.send(ctx)
}

// claims is how many puts and pins rely on a block that is not pinned or held yet.
type claims struct {
	puts int
	kept bool // one of them was kept, or the block was there before any of them
}

// claim notes that a put or a pin relies on h from now on, which nobody forgets until
// it is released.
func (n *Node) claim(ctx context.Context, h mh.Multihash) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.writing[string(h)]
	if c.puts == 0 {
		there, err := n.store.Has(ctx, h)
		if err != nil {
			return err
		}
		c.kept = there
	}
	c.puts++
	n.writing[string(h)] = c
	return nil
}

// release gives back the claims of a put or a pin that was kept, or was not. Blocks
// that were not there before, and that only came because of puts none of which was
// kept, go, unless they are held for somebody.
func (n *Node) release(claimed []mh.Multihash, kept bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var gone []mh.Multihash
	for _, h := range claimed {
		c := n.writing[string(h)]
		c.puts, c.kept = c.puts-1, c.kept || kept
		if kept && n.fresh != nil {
			n.fresh.Add(h)
		}
		if c.puts > 0 {
			n.writing[string(h)] = c
			continue
		}
		delete(n.writing, string(h))
		if !c.kept {
			gone = append(gone, h)
		}
	}
	// The put's own context may be what ended it.
	if _, err := n.set.Forget(context.Background(), gone...); err != nil {
		n.log.Warn("blocks of a failed put are left over", "err", err)
	}
}

// counted counts what is read through it.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}
