package replica

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

var _ wire.Keeper = (*Set)(nil)

// Offer implements wire.Keeper: a peer keeps what it is one of the 2r closest to.
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
	for i, it := range items {
		if out[i] = all; all == 0 {
			out[i] = s.near(ctx, l, it.Hash)
		}
	}
	s.awaits(ctx, from, items, out)
	s.entering.RLock()
	defer s.entering.RUnlock()
	var here []mh.Multihash
	var sizes []int64
	var wanted int64
	for i, it := range items {
		if out[i] != 0 {
			continue
		}
		err := s.store.View(ctx, it.Hash, func([]byte) error { return nil }) // what is rotten is wanted again
		switch {
		case err == nil:
			out[i] = wire.Have
			here = append(here, it.Hash)
			sizes = append(sizes, int64(it.Size))
		case s.full(wanted + int64(it.Size)):
			out[i] = wire.Full
		default:
			wanted += int64(it.Size)
		}
	}
	s.expects(from, items, out)
	return out, s.hold(ctx, l, here, func(i int) int64 { return sizes[i] })
}

// near answers 0 when this peer is near enough to h to keep it.
func (s *Set) near(ctx context.Context, l blocks.Lease, h mh.Multihash) wire.Status {
	near, err := s.holders(ctx, h, l.Publisher, 2*l.R)
	switch {
	case err != nil:
		return wire.Failed
	case !slices.Contains(near, s.self):
		return wire.NotResponsible
	}
	return 0
}

// Keep implements wire.Keeper: the blocks first, then why they are kept.
func (s *Set) Keep(ctx context.Context, from peer.ID, l blocks.Lease, bs ...blocks.Block) error {
	s.entering.RLock()
	defer s.entering.RUnlock()
	hs, size := make([]mh.Multihash, len(bs)), int64(0)
	for i, b := range bs {
		hs[i] = b.Hash()
		size += int64(len(b.RawData()))
	}
	if s.full(size) { // others were faster since the offer
		return &wire.Refusal{Code: wire.Full, Reason: wire.Full.String()}
	}
	if err := s.store.Put(ctx, bs...); err != nil {
		return err
	}
	err := s.hold(ctx, l, hs, func(i int) int64 { return int64(len(bs[i].RawData())) })
	s.arrived(from, hs)
	return err
}

// hold enters blocks, and counts those that were not held before. One that comes from
// two sides at a time may be counted twice, until the next start: too much, never too little.
func (s *Set) hold(ctx context.Context, l blocks.Lease, hs []mh.Multihash, size func(i int) int64) error {
	if len(hs) == 0 {
		return nil
	}
	var more int64
	for i, h := range hs {
		before, err := s.ledger.Leases(ctx, h)
		if err != nil {
			return err
		}
		if len(before) == 0 {
			more += size(i)
		}
	}
	if err := s.ledger.Hold(ctx, l, hs...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others += more
	return nil
}

// full reports whether size more bytes are more than is given to others.
func (s *Set) full(size int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Quota > 0 && s.others+size > s.cfg.Quota
}

// weigh counts what is held for others already.
func (s *Set) weigh(ctx context.Context) error {
	var sum int64
	for held, err := range s.ledger.Held(ctx) {
		if err != nil {
			return fmt.Errorf("replica: count what is held: %w", err)
		}
		if l, ok := blocks.Governing(held.Leases); !ok || l.Publisher == s.self {
			continue
		}
		n, err := s.store.Size(ctx, held.Hash)
		if err != nil && !blocks.IsNotFound(err) {
			return fmt.Errorf("replica: count what is held: %w", err)
		}
		sum += int64(n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others += sum
	return nil
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
	now, over, freed := time.Now(), map[blocks.LeaseID][]mh.Multihash{}, int64(0)
	for _, h := range hs {
		ls, err := s.ledger.Leases(ctx, h)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(blocks.Standing(ls, now), s.needed) {
			continue
		}
		gone = append(gone, h)
		for _, l := range ls {
			over[l.ID()] = append(over[l.ID()], h)
		}
		if l, ok := blocks.Governing(ls); ok && l.Publisher != s.self {
			size, err := s.store.Size(ctx, h)
			if err != nil && !blocks.IsNotFound(err) {
				return nil, err
			}
			freed += int64(size)
		}
	}
	// Why it is kept goes first: an entry without its block would be a promise broken.
	for id, hs := range over {
		if err := s.ledger.Release(ctx, id, hs...); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	s.others -= freed
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
