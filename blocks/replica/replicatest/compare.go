package replicatest

import (
	"context"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Bytes of the wire's framing: of a short message, and of a key and a proof in a question for
// proofs and its answer.
const (
	frameBytes = 5
	keyBytes   = 36
	proofBytes = 34
	nonceBytes = 34
)

// Zone implements replica.Zone: those nearest to the member that have a seat in its view.
func (r router) Zone() (ids []peer.ID) {
	w := r.w
	w.mu.Lock()
	defer w.mu.Unlock()
	near, now := entry{key: r.m.key}, time.Now()
	w.rank(&near)
	for _, n := range near.near {
		m := w.members[n]
		if alive, seat := w.sees(r.m, m, now); alive || seat {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// IsMember implements replica.Zone.
func (r router) IsMember(p peer.ID) bool {
	w := r.w
	w.mu.Lock()
	defer w.mu.Unlock()
	n, ok := w.byID[p]
	if !ok || w.members[n].outside {
		return false
	}
	alive, _ := w.sees(r.m, w.members[n], time.Now())
	return alive
}

// Sync implements replica.Comparer.
func (c carrier) Sync(ctx context.Context, p peer.ID, x wire.Asker) error {
	k, err := c.reach(ctx, p)
	if err != nil {
		return err
	}
	y, err := k.set.Reconcile(ctx, c.m.id)
	if err != nil {
		return err
	}
	c.w.compared(c.m, k.to)
	for msg := x.First(); msg != nil; {
		answer, err := y.Step(msg)
		if err != nil {
			return err
		}
		c.w.told(len(msg) + len(answer) + 2*frameBytes)
		if err := k.back(ctx); err != nil {
			return err
		}
		if msg, err = x.Step(answer); err != nil {
			return err
		}
		if msg != nil {
			if err := sleep(ctx, k.delay); err != nil {
				return err
			}
		}
	}
	return nil
}

// Names implements replica.Comparer.
func (c carrier) Names(ctx context.Context, p peer.ID, names []wire.Name) ([]mh.Multihash, error) {
	k, err := c.reach(ctx, p)
	if err != nil {
		return nil, err
	}
	hs, err := k.set.Names(ctx, c.m.id, names)
	if err != nil {
		return nil, err
	}
	return hs, k.back(ctx)
}

// Fetch implements replica.Comparer. Unless a reader asks, what it brings is a copy that
// repair has sent.
func (c carrier) Fetch(ctx context.Context, p peer.ID, id cid.Cid) (blocks.Block, error) {
	k, err := c.reach(ctx, p)
	if err != nil {
		return blocks.Block{}, err
	}
	b, err := k.disk.Get(ctx, id)
	if err != nil {
		return blocks.Block{}, err
	}
	from := contact{w: k.w, from: k.to, to: k.from, starts: k.from.starts, delay: k.delay}
	if err := from.send(ctx, 1); err != nil {
		return blocks.Block{}, err
	}
	k.w.gave(k.to, 1)
	if c.reads {
		return b, k.back(ctx)
	}
	k.w.sent(wire.Repair, k.from, []blocks.Block{b})
	return b, k.back(ctx)
}

// compared notes a comparison of two neighbours.
func (w *World) compared(a, b *member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check.tally.Compared++
	w.check.pairs[uint64(uint32(min(a.n, b.n)))<<32|uint64(uint32(max(a.n, b.n)))] = true
	w.check.tally.Pairs = len(w.check.pairs)
}

// told notes bytes of comparisons and audits.
func (w *World) told(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check.tally.Told += int64(n)
}

// Lose takes that share of its blocks from a member's disk, which does not notice: its
// ledger names them as before. It gives how many.
func (w *World) Lose(n int, share float64) (lost int, err error) {
	m := w.members[n]
	var hs []mh.Multihash
	for h, err := range m.disk.Held(w.ctx) {
		if err != nil {
			return 0, err
		}
		hs = append(hs, h.Hash)
	}
	slices.SortFunc(hs, func(a, b mh.Multihash) int { return slices.Compare(a, b) }) // whatever order the ledger has
	w.mu.Lock()
	hs = slices.DeleteFunc(hs, func(mh.Multihash) bool { return w.rng.Float64() >= share })
	w.mu.Unlock()
	return len(hs), m.disk.Delete(w.ctx, hs...)
}

// Accused gives the members that somebody who is up has found to lack what they claim.
func (w *World) Accused() (ns []int) {
	for _, n := range w.Live() {
		for _, p := range w.members[n].set.Distrusted() {
			w.mu.Lock()
			ns = append(ns, int(w.byID[p]))
			w.mu.Unlock()
		}
	}
	slices.Sort(ns)
	return slices.Compact(ns)
}

// Audited is how many proofs the members that are up have asked for, and how many failed.
func (w *World) Audited() (asked, failed int64) {
	for _, n := range w.Live() {
		a := w.members[n].set.Audited()
		asked, failed = asked+a.Asked, failed+a.Failed
	}
	return asked, failed
}
