package replica

import (
	"context"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

var _ wire.Keeper = (*Set)(nil)

// Offer implements wire.Keeper: a peer keeps what it is one of the 2r closest to.
// The lease was found valid by the wire.
func (s *Set) Offer(ctx context.Context, from peer.ID, l blocks.Lease, h mh.Multihash, size int) (have bool, err error) {
	select {
	case <-s.router.Ready():
	default:
		return false, &wire.Refusal{Code: wire.Busy, Reason: "not warm yet"}
	}
	if l.Publisher == s.self {
		return false, &wire.Refusal{Code: wire.NotResponsible, Reason: "this is the publisher"}
	}
	near, err := s.holders(ctx, h, l.Publisher, 2*l.R)
	if err != nil {
		return false, err
	}
	if !slices.Contains(near, s.self) {
		return false, &wire.Refusal{Code: wire.NotResponsible, Reason: "not near enough"}
	}
	err = s.store.View(ctx, h, func([]byte) error { return nil }) // what is rotten is wanted again
	if err != nil {
		return false, nil
	}
	return true, s.ledger.Hold(ctx, l, h)
}

// Keep implements wire.Keeper: the block first, then why it is kept.
func (s *Set) Keep(ctx context.Context, _ peer.ID, l blocks.Lease, b blocks.Block) error {
	if err := s.store.Put(ctx, b); err != nil {
		return err
	}
	return s.ledger.Hold(ctx, l, b.Hash())
}
