package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// The tree of the mutable files is web/rpc's; this file is what a peer does for it:
//
//	a change → Draft: claims → Hold: no collection takes it → Draft.Close
//	a while later → Keep: lease, pin → holders → Await: quorum → Displace what it was before

// FilesPin is the name of the pin of the mutable files. Who pins the same root without a
// name takes it over: from then on it is his own.
const FilesPin = "mutable files"

// Draft is a change that is being made: nobody forgets what it has to do with until it is
// closed. [Node.Draft] makes one. It may be used by many goroutines at once.
type Draft struct {
	n *Node

	mu    sync.Mutex
	seen  map[string]bool // guarded by mu: by multihash
	wrote []mh.Multihash  // guarded by mu: claimed
	read  []mh.Multihash  // guarded by mu: claimed, and fetched, not made here
}

// Draft begins a change, which has to be closed.
func (n *Node) Draft() *Draft { return &Draft{n: n, seen: map[string]bool{}} }

// Put keeps bs. When it returns nil they are on the disk.
func (d *Draft) Put(ctx context.Context, bs ...blocks.Block) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range bs {
		h := b.Hash()
		if d.seen[string(h)] {
			continue
		}
		if err := d.n.claim(ctx, h); err != nil {
			return fmt.Errorf("files: %w", err)
		}
		d.seen[string(h)] = true
		d.wrote = append(d.wrote, h)
	}
	// As in a put: the store finishes what it began, whoever has left.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTime)
	defer cancel()
	if err := d.n.store.Put(ctx, bs...); err != nil {
		return fmt.Errorf("files: %w", err)
	}
	return nil
}

// Fetch brings everything under root here. tell hears how many blocks are known of, and how
// many are here.
func (d *Draft) Fetch(ctx context.Context, root cid.Cid, tell func(blocks.Progress)) error {
	claimed, _, err := d.n.bring(ctx, root, tell)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read = append(d.read, claimed...)
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	return nil
}

// Close ends the change. What it made stays if it was kept, because it is held by now, and
// else goes, unless it was there before or others want it; what it fetched stays as what was
// read.
func (d *Draft) Close(kept bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n.release(d.wrote, kept)
	d.n.release(d.read, true)
	d.wrote, d.read, d.seen = nil, nil, map[string]bool{}
}

// Hold keeps collections from everything under roots, in the place of the roots it was told
// of before, for as long as this process lives.
func (n *Node) Hold(roots ...cid.Cid) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = slices.Clone(roots)
}

// holding are the roots that are held.
func (n *Node) holding() []cid.Cid {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.held)
}

// Keep pins root as [FilesPin] and with a lease of this peer's own, and has it brought to its
// holders; what of it is not here is fetched. A pin that has another name keeps that, and
// one whose lease stands is left as it is. When it returns nil all of that is on the disk.
func (n *Node) Keep(ctx context.Context, root cid.Cid) error {
	pin, pinned, l, stands, err := n.leased(ctx, root)
	if err != nil || stands {
		return wrapped("files", err)
	}
	name := FilesPin
	if pinned && pin.Name != name {
		name = "" // it is somebody's own
	}
	o := blocks.ImportOptions{PutOptions: blocks.PutOptions{Name: name, Replicas: l.R, Wait: blocks.WaitLocal}}
	nothing := func(func(blocks.Block, error) bool) {}
	_, err = n.bringIn(ctx, nothing, []cid.Cid{root}, o, nil)
	if !errors.As(err, new(*blocks.GapError)) {
		return wrapped("files", err)
	}
	d := n.Draft() // some of it was lost here
	defer d.Close(true)
	if err := d.Fetch(ctx, root, nil); err != nil {
		return err
	}
	_, err = n.bringIn(ctx, nothing, []cid.Cid{root}, o, nil)
	return wrapped("files", err)
}

// Await waits until every block of root, which [Node.Keep] keeps, has its quorum of copies
// elsewhere. A [*blocks.ShortError] says that no more can be had for now.
func (n *Node) Await(ctx context.Context, root cid.Cid) error {
	pin, _, l, stands, err := n.leased(ctx, root)
	switch {
	case err != nil:
		return wrapped("files", err)
	case !stands:
		return fmt.Errorf("files: %w", &unleasedError{root, "it has no lease"})
	case !pin.Pending:
		return nil
	}
	_, err = n.set.Queue(l, pin).Wait(ctx, blocks.WaitQuorum, nil)
	return wrapped("files", err)
}

// leased gives the pin of root and its lease, and whether that stands.
func (n *Node) leased(ctx context.Context, root cid.Cid) (pin blocks.Pin, pinned bool, l blocks.Lease, stands bool, err error) {
	if pin, pinned, err = n.ledger.Pinned(ctx, root); err != nil || !pinned || pin.Lease == (blocks.LeaseID{}) {
		return pin, pinned, l, false, err
	}
	l, ok, err := n.ledger.Lease(ctx, pin.Lease)
	return pin, pinned, l, ok && l.State == blocks.LeaseActive && l.Valid(time.Now()) == nil, err
}

// Displace takes back the pin of root and its lease, if its name is [FilesPin]. One that
// has another, or is not there, is no error.
func (n *Node) Displace(ctx context.Context, root cid.Cid) error {
	pin, pinned, err := n.ledger.Pinned(ctx, root)
	if err != nil || !pinned || pin.Name != FilesPin {
		return wrapped("files", err)
	}
	if pin.Lease != (blocks.LeaseID{}) {
		if _, err := n.Withdraw(ctx, root.String()); err != nil && !errors.As(err, new(*unleasedError)) {
			return fmt.Errorf("files: %w", err)
		}
	}
	pin, pinned, err = n.ledger.Pinned(ctx, root) // it took a while: somebody may want it by now
	if err == nil && pinned && pin.Name == FilesPin {
		err = n.ledger.Unpin(ctx, root)
	}
	return wrapped("files", err)
}

func wrapped(what string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return err
}

// anew is the name of a pin that is pinned again: that of old, if no other is given, unless
// it is the mutable files' alone.
func anew(given, old string) string {
	if old == FilesPin {
		old = ""
	}
	return cmp.Or(given, old)
}
