package dht

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ipfs/go-cid"
	ds "github.com/ipfs/go-datastore"
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

// maxRecords bounds the provider records kept here for others: in memory, some 200
// bytes each. A stranger can send any number of them.
const maxRecords = 100_000

// bounded is a datastore that takes no new key when it is full.
type bounded struct {
	ds.Batching
	mu   sync.Mutex
	keys int // guarded by mu: put and not deleted
	most int
}

// Put refuses a key that would be one too many.
func (b *bounded) Put(ctx context.Context, k ds.Key, v []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	there, err := b.Batching.Has(ctx, k)
	if err != nil {
		return err
	}
	if !there && b.keys >= b.most {
		return errFullRecords
	}
	if err := b.Batching.Put(ctx, k, v); err != nil {
		return err
	}
	if !there {
		b.keys++
	}
	return nil
}

// Delete makes room.
func (b *bounded) Delete(ctx context.Context, k ds.Key) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	there, err := b.Batching.Has(ctx, k)
	if err != nil {
		return err
	}
	if err := b.Batching.Delete(ctx, k); err != nil {
		return err
	}
	if there {
		b.keys--
	}
	return nil
}

// Batch goes through Put and Delete.
func (b *bounded) Batch(context.Context) (ds.Batch, error) { return ds.NewBasicBatch(b), nil }

var errFullRecords = errors.New("dht: no room for more records")
