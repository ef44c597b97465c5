package replicatest

import (
	"context"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// passing is an offer whose taker passes on what it was brought with the fan-out flag, each
// block as soon as it has it, and says who has it then.
type passing struct {
	k     *contact
	ctx   context.Context
	lease blocks.Lease
	items []wire.Item
	mu    sync.Mutex // one answer at a time
	to    func(int, wire.Ack)
	wg    sync.WaitGroup // ends with the offers, each of which has a deadline
}

func (k *contact) passOn(ctx context.Context, l blocks.Lease, items []wire.Item, tell func(int, wire.Ack)) *passing {
	return &passing{k: k, ctx: ctx, lease: l, items: items, to: tell}
}

// tell answers for item i, and has it passed on if it is there now.
func (p *passing) tell(i int, a wire.Ack) {
	p.mu.Lock()
	p.to(i, a)
	p.mu.Unlock()
	if !p.items[i].Fanout || a.Status != wire.Stored && a.Status != wire.Have {
		return
	}
	p.wg.Go(func() {
		p.k.set.Pass(p.ctx, p.k.from.id, p.lease, p.items[i:i+1], func(_ int, a wire.Ack) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.to(i, a)
		})
	})
}

func (p *passing) wait() { p.wg.Wait() }

// gave notes that m has sent n blocks.
func (w *World) gave(m *member, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.gave += n
}

// Gave is how many blocks a member has sent since it first came, for whatever reason.
func (w *World) Gave(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.members[n].gave
}

// Holders gives the members that have block i on their disk.
func (w *World) Holders(i int) (ns []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.entries[i].holders {
		ns = append(ns, int(n))
	}
	return ns
}

// Reader is one member as somebody who reads there sees the others: what package fetch
// takes for its router and its peers.
type Reader struct {
	router
	carrier
}

// Reader gives the member n as a reader.
func (w *World) Reader(n int) Reader {
	return Reader{router{w, w.members[n]}, carrier{w: w, m: w.members[n], reads: true}}
}

// ID is the member's.
func (r Reader) ID() peer.ID { return r.router.m.id }

// Afresh is Closest: every look is.
func (r Reader) Afresh(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, error) {
	ids, _, err := r.Closest(ctx, h, n)
	return ids, err
}
