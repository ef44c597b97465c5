package dht

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"
	kbucket "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Provide leaves a record at the peers closest to h that this peer has it. They
// forget it after [RecordLife]. It answers [ErrAlone] when there is nobody to leave it at.
func (r *Router) Provide(ctx context.Context, h mh.Multihash) error {
	if r.kad.RoutingTable().Size() == 0 {
		return ErrAlone
	}
	err := r.kad.Provide(ctx, cid.NewCidV1(cid.Raw, h), true)
	if errors.Is(err, kbucket.ErrLookupFailure) {
		return ErrAlone
	}
	if err != nil {
		return fmt.Errorf("dht: provide: %w", err)
	}
	return nil
}

// Providers gives up to n peers that left a record that they have h. Anybody can
// leave one: it is a hint, and nothing else.
func (r *Router) Providers(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, err error) {
	for p := range r.kad.FindProvidersAsync(ctx, cid.NewCidV1(cid.Raw, h), n) {
		ids = append(ids, p.ID)
	}
	if len(ids) == 0 && ctx.Err() != nil {
		return nil, fmt.Errorf("dht: providers: %w", ctx.Err())
	}
	return ids, nil
}
