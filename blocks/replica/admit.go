package replica

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

var _ wire.Keeper = (*Set)(nil)

// Offer implements wire.Keeper: a peer keeps what it is one of the 2r closest to, or a holder of.
// The lease was found valid by the wire.
func (s *Set) Offer(ctx context.Context, from peer.ID, l blocks.Lease, items []wire.Item) ([]wire.Status, error) {
	out := make([]wire.Status, len(items))
	all := wire.Status(0)
	select {
	case <-s.router.Ready():
	default:
		all = wire.Busy // not warm yet
	}
	if l.Publisher == s.self {
		all = wire.NotResponsible
	}
	if all == 0 {
		var err error
		if l, all, err = s.word(ctx, l); err != nil {
			return nil, err
		}
	}
	seated := make([]bool, len(items))
	for i, it := range items {
		if out[i] = all; all == 0 {
			out[i], seated[i] = s.near(ctx, l, it.Hash)
		}
	}
	defer func() { s.handOff(from, l, items, out, seated) }()
	s.awaits(ctx, from, items, out)
	s.entering.RLock()
	defer s.entering.RUnlock()
	var here []mh.Multihash
	var sizes []int64
	var wanted need
	net := s.netOf(l.Publisher, from)
	for i, it := range items {
		if out[i] != 0 {
			continue
		}
		size := int64(it.Size)
		whole := s.store.View(ctx, it.Hash, func(data []byte) error {
			size = int64(len(data)) // whatever is said of it
			return nil
		}) == nil
		more, err := s.needs(ctx, l, it.Hash, size)
		if err != nil {
			return nil, err
		}
		if !whole { // what is rotten is wanted again
			switch out[i] = s.room(l, net, wanted.plus(more)); {
			case out[i] != 0:
			case !it.Urgent && s.cools(it.Hash):
				out[i] = wire.Quota
			default:
				wanted = wanted.plus(more)
			}
			continue
		}
		if out[i] = s.reserve(l, net, more); out[i] != 0 {
			continue
		}
		defer s.unreserve(more)
		out[i] = wire.Have
		here = append(here, it.Hash)
		sizes = append(sizes, size)
	}
	s.expects(from, items, out)
	return out, s.hold(ctx, l, here, func(i int) int64 { return sizes[i] })
}

// word is the last word of l's publisher that is known here, and whether it still gives a
// right: what is offered again under a lease that was renewed since counts as under the
// new one, what is offered under one that was revoked since is refused.
func (s *Set) word(ctx context.Context, l blocks.Lease) (blocks.Lease, wire.Status, error) {
	known, ok, err := s.ledger.Lease(ctx, l.ID())
	if err != nil || !ok || known.Seq <= l.Seq {
		return l, 0, err
	}
	if len(blocks.Standing([]blocks.Lease{known}, time.Now())) == 0 {
		return l, wire.BadLease, nil
	}
	return known, 0, nil
}

// near answers 0 when this peer is near enough to h to keep it, and whether it is one of its
// holders.
func (s *Set) near(ctx context.Context, l blocks.Lease, h mh.Multihash) (no wire.Status, seated bool) {
	if s.tooFar(h, l.R) {
		return wire.NotResponsible, false
	}
	near, open, err := s.closest(ctx, h, l.Publisher, l.R)
	if err != nil {
		return wire.Failed, false
	}
	switch i := slices.Index(near, s.self); {
	case i >= 0:
		return 0, i < l.R
	case !slices.Contains(s.spreadLive(ctx, h, l.Publisher, near, open, l.R), s.self):
		return wire.NotResponsible, false
	default:
		return 0, true
	}
}

// tooFar reports whether this peer is too far from h to be one of those that are looked at for
// it, as far as is known here: so a stranger who names any keys has nobody asked or dialled.
func (s *Set) tooFar(h mh.Multihash, r int) bool {
	return s.cfg.Places != nil && !slices.Contains(s.cfg.Places.Nearby(h, max(keyspace.Outward, 4*r+1)), s.self)
}

// Keep implements wire.Keeper: the blocks first, then why they are kept.
func (s *Set) Keep(ctx context.Context, from peer.ID, l blocks.Lease, bs ...blocks.Block) error {
	l, no, err := s.word(ctx, l)
	if err != nil {
		return err
	}
	if no != 0 { // since the offer
		return &wire.Refusal{Code: no, Reason: no.String()}
	}
	hs, size := make([]mh.Multihash, len(bs)), int64(0)
	for i, b := range bs {
		hs[i] = b.Hash()
		size += int64(len(b.RawData()))
	}
	if !s.pace(ctx, from, size) {
		return ctx.Err()
	}
	s.entering.RLock()
	defer s.entering.RUnlock()
	var all need
	for i, b := range bs {
		more, err := s.needs(ctx, l, hs[i], int64(len(b.RawData())))
		if err != nil {
			return err
		}
		many := all.many
		all = all.plus(more)
		all.many = all.many || many
	}
	if no := s.reserve(l, s.netOf(l.Publisher, from), all); no != 0 { // others were faster since the offer
		return &wire.Refusal{Code: no, Reason: no.String()}
	}
	defer s.unreserve(all)
	if err := s.store.Put(ctx, bs...); err != nil {
		return err
	}
	err = s.hold(ctx, l, hs, func(i int) int64 { return int64(len(bs[i].RawData())) })
	s.arrived(from, hs)
	return err
}

// Forget deletes those of hs that nobody has a right to, and gives them: no lease
// stands for them, or only this peer's own, by which it is no holder, and they are not
// being placed. A block that is offered at the same time is either entered first, and
// stays, or is found to be gone.
func (s *Set) Forget(ctx context.Context, hs ...mh.Multihash) (gone []mh.Multihash, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("replica: forget: %w", err)
		}
	}()
	s.entering.Lock()
	defer s.entering.Unlock()
	now, over, freed := time.Now(), map[blocks.LeaseID][]mh.Multihash{}, []entry(nil)
	for _, h := range hs {
		ls, err := s.ledger.Leases(ctx, h)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(ls, func(l blocks.Lease) bool { return !l.Lapsed(now) && s.needed(l) }) {
			continue
		}
		gone = append(gone, h)
		for _, l := range ls {
			over[l.ID()] = append(over[l.ID()], h)
		}
		if s.counted(ls) {
			size, err := s.store.Size(ctx, h)
			if err != nil && !blocks.IsNotFound(err) {
				return nil, err
			}
			freed = append(freed, entry{ls, int64(size)})
		}
	}
	// Why it is kept goes first: an entry without its block would be a promise broken.
	for id, hs := range over {
		if err := s.ledger.Release(ctx, id, hs...); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	for _, e := range freed {
		s.books.enter(s.self, e.leases, -e.size)
	}
	for _, h := range gone {
		delete(s.over, string(h))
	}
	s.mu.Unlock()
	return gone, s.store.Delete(ctx, gone...)
}

// needed reports whether what l holds must stay here: it is another's, or copies are
// still being made from here.
func (s *Set) needed(l blocks.Lease) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, placing := s.jobs[l.ID()]
	return placing || l.Publisher != s.self
}
