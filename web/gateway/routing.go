package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/routing/http/server"
	"github.com/ipfs/boxo/routing/http/types"
	"github.com/ipfs/boxo/routing/http/types/iter"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
)

// Routing is what /routing/v1 is answered from: who has what, and who is where.
// Nobody is a good answer; an error is [routing.ErrNotFound] or why nobody could
// be asked. Each call ends with its context.
type Routing interface {
	Providers(ctx context.Context, c cid.Cid) ([]peer.AddrInfo, error)
	Peer(ctx context.Context, id peer.ID) (peer.AddrInfo, error)
	Closest(ctx context.Context, key cid.Cid) ([]peer.AddrInfo, error)
}

// maxRouted is how many questions of /routing/v1 are answered at once: each may be a walk
// through the network.
const maxRouted = 64

// routes serves /routing/v1: providers, peers, ipns and dht/closest/peers. What
// would write is refused by the guard.
func routes(cfg Config) http.Handler {
	slots := make(chan struct{}, maxRouted)
	next := server.Handler(delegate{cfg.Routing, cfg.Records},
		server.WithPrometheusRegistry(cfg.Metrics), server.WithRoutingTimeout(cfg.Retrieval), server.WithStreamingRecordsLimit(100))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many questions at once: try again soon", http.StatusTooManyRequests)
		}
	})
}

// delegate is a Routing in the words of boxo.
type delegate struct {
	r       Routing
	records routing.ValueStore // nil: there are none
}

var errReadOnly = errors.New("gateway: nothing is published here")

func (d delegate) FindProviders(ctx context.Context, c cid.Cid, _ int) (iter.ResultIter[types.Record], error) {
	found, err := d.r.Providers(ctx, c)
	return results(found, err, func(p *types.PeerRecord) types.Record { return p })
}

func (d delegate) FindPeers(ctx context.Context, id peer.ID, _ int) (iter.ResultIter[*types.PeerRecord], error) {
	found, err := d.r.Peer(ctx, id)
	if len(found.Addrs) == 0 && err == nil {
		err = routing.ErrNotFound
	}
	return results([]peer.AddrInfo{found}, err, func(p *types.PeerRecord) *types.PeerRecord { return p })
}

func (d delegate) GetClosestPeers(ctx context.Context, key cid.Cid) (iter.ResultIter[*types.PeerRecord], error) {
	found, err := d.r.Closest(ctx, key)
	return results(found, err, func(p *types.PeerRecord) *types.PeerRecord { return p })
}

// results are found in boxo's words; an error is boxo's own for "nobody".
func results[T any](found []peer.AddrInfo, err error, as func(*types.PeerRecord) T) (iter.ResultIter[T], error) {
	if err != nil {
		return nil, fmt.Errorf("gateway: routing: %w", err)
	}
	out := make([]T, len(found))
	for i, p := range found {
		addrs := make([]types.Multiaddr, len(p.Addrs))
		for j, a := range p.Addrs {
			addrs[j] = types.Multiaddr{Multiaddr: a}
		}
		out[i] = as(&types.PeerRecord{Schema: types.SchemaPeer, ID: &p.ID, Addrs: addrs})
	}
	return iter.ToResultIter(iter.FromSlice(out)), nil
}

func (d delegate) GetIPNS(ctx context.Context, name ipns.Name) (*ipns.Record, error) {
	if d.records == nil {
		return nil, routing.ErrNotFound
	}
	data, err := d.records.GetValue(ctx, string(name.RoutingKey()))
	if err != nil {
		return nil, err
	}
	rec, err := ipns.UnmarshalRecord(data)
	if err != nil {
		return nil, fmt.Errorf("gateway: record of %s: %w", name, err)
	}
	if err := ipns.ValidateWithName(rec, name); err != nil {
		return nil, fmt.Errorf("gateway: record of %s: %w", name, err)
	}
	return rec, nil
}

func (delegate) PutIPNS(context.Context, ipns.Name, *ipns.Record) error { return errReadOnly }

//lint:ignore SA1019 boxo's interface still has it
func (delegate) ProvideBitswap(context.Context, *server.BitswapWriteProvideRequest) (time.Duration, error) {
	return 0, errReadOnly
}
