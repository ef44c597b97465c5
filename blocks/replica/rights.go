package replica

import (
	"context"
	"errors"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Who gets a block by repair must hold it under all the leases that stand for it here, and not
// only under the one by which it is repaired: that one may be taken back first, and when those
// who had the block before are gone, nobody would keep it for the other publishers.
//
//	given under the lease that governs → offered under each other one: here already → entered

// giveRights offers p those of gs that it has got under the other leases too. That brings no
// bytes. What p refuses, by its own rules, it refuses; what it does not answer is tried again.
func (s *Set) giveRights(ctx context.Context, p peer.ID, gs []*gift) {
	leases, under := map[blocks.LeaseID]blocks.Lease{}, map[blocks.LeaseID][]*gift{}
	for _, g := range gs {
		if !g.done {
			continue
		}
		ls, err := s.ledger.Leases(ctx, g.hash)
		if err != nil {
			g.done = false
			continue
		}
		for _, l := range blocks.Standing(ls, time.Now()) {
			if id := l.ID(); id != g.lease.ID() && l.Publisher != p {
				leases[id] = l
				under[id] = append(under[id], g)
			}
		}
	}
	for id, gs := range under {
		if err := s.enters(ctx, p, leases[id], gs); err != nil {
			s.stumbled(p, err)
			s.log.Debug("holder did not answer for a lease", "peer", p, "root", leases[id].Root, "err", err)
			for _, g := range gs {
				g.done = false
			}
		}
	}
}

// enters offers p what it has, under l.
func (s *Set) enters(ctx context.Context, p peer.ID, l blocks.Lease, gs []*gift) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.PutIdle)
	defer cancel()
	items := make([]wire.Item, len(gs))
	for i, g := range gs {
		items[i] = wire.Item{Hash: g.hash, Size: g.size}
	}
	err := s.peers.Offer(ctx, p, l, wire.Repair, items, s.store, func(i int, a wire.Ack) {
		if a.Err != nil {
			s.log.Debug("holder did not take a block under one more lease", "peer", p, "key", gs[i].hash.B58String(), "err", a.Err)
		}
	})
	var no *wire.Refusal
	if errors.As(err, &no) {
		return nil
	}
	return err
}
