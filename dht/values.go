package dht

import (
	"context"
	"errors"
	"fmt"

	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	kbucket "github.com/libp2p/go-libp2p-kbucket"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
)

// Values are what strangers of other programs look for here: small signed records under
// /NAMESPACE/KEY. The DHT forgets them after two days, so they are a copy for those who
// know nothing better, and nothing relies on them.

// maxValues bounds the values kept here for others: in memory, some 10 KiB each at most.
const maxValues = 4096

// enoughValues is how many peers must have said what they know for a search to end.
const enoughValues = 3

// values are the options of a DHT that takes values of the namespaces of judges.
func values(judges map[string]record.Validator) []kad.Option {
	if len(judges) == 0 {
		return []kad.Option{kad.DisableValues()}
	}
	kept := &bounded{Batching: dssync.MutexWrap(ds.NewMapDatastore()), most: maxValues}
	return []kad.Option{kad.Validator(record.NamespacedValidator(judges)), kad.ValueDatastore(kept)}
}

// PutValue leaves value at the peers closest to key, which begins with a namespace of
// [Config.Values]. It answers [ErrAlone] when there is nobody.
func (r *Router) PutValue(ctx context.Context, key string, value []byte) error {
	if r.kad.RoutingTable().Size() == 0 {
		return ErrAlone
	}
	err := r.kad.PutValue(ctx, key, value)
	if errors.Is(err, kbucket.ErrLookupFailure) {
		return ErrAlone
	}
	if err == nil {
		err = ctx.Err() // it waits for all, and says nothing of those that did not take it
	}
	if err != nil {
		return fmt.Errorf("dht: put value: %w", err)
	}
	return nil
}

// Value gives the best value under key that a few of the peers closest to it have.
// [routing.ErrNotFound] holds for the error when none has any.
func (r *Router) Value(ctx context.Context, key string) ([]byte, error) {
	value, err := r.kad.GetValue(ctx, key, kad.Quorum(enoughValues))
	if value != nil {
		return value, nil // the best so far, when ctx ended before
	}
	if errors.Is(err, kbucket.ErrLookupFailure) {
		err = routing.ErrNotFound
	}
	return nil, fmt.Errorf("dht: value: %w", err)
}

// Find gives the addresses at which a peer can be reached in this network, this one's own
// too. [routing.ErrNotFound] holds for the error when nobody knows any.
func (r *Router) Find(ctx context.Context, p peer.ID) (peer.AddrInfo, error) {
	info := r.Known(p)
	if len(info.Addrs) > 0 {
		return info, nil
	}
	info, err := r.kad.FindPeer(ctx, p)
	if errors.Is(err, kbucket.ErrLookupFailure) {
		err = routing.ErrNotFound
	}
	if err != nil {
		return peer.AddrInfo{ID: p}, fmt.Errorf("dht: find %s: %w", p, err)
	}
	return peer.AddrInfo{ID: p, Addrs: r.cfg.admit(info.Addrs)}, nil
}

// Known gives the addresses of a peer that are known here. It asks nobody.
func (r *Router) Known(p peer.ID) peer.AddrInfo {
	addrs := r.host.Peerstore().Addrs(p)
	if p == r.self {
		addrs = r.host.Addrs()
	}
	return peer.AddrInfo{ID: p, Addrs: r.cfg.admit(addrs)}
}
