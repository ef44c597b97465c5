package dht

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	mh "github.com/multiformats/go-multihash"
)

// Nearer gives up to n members that this peer is connected to and that are nearer to h than it
// is, nearest first, with addresses they may have in this network. It asks nobody, so that a
// stranger's question costs no lookup.
func (r *Router) Nearer(h mh.Multihash, n int) (infos []peer.AddrInfo) {
	key := keyspace.OfHash(h)
	own := keyspace.OfPeer(r.self)
	r.mu.Lock()
	near := r.view.nearest(key, n, func(m *member) bool {
		return m.met && m.up && !m.stranger && m.gone.IsZero() && keyspace.Closer(key, m.key, own) < 0
	})
	ids := make([]peer.ID, len(near))
	for i, m := range near {
		ids[i] = m.id
	}
	r.mu.Unlock()
	for _, p := range ids {
		if ai, ok := r.Addressed(p); ok {
			infos = append(infos, ai)
		}
	}
	return infos
}

// Addressed gives p with the addresses that it may have in this network; false: none are known.
func (r *Router) Addressed(p peer.ID) (peer.AddrInfo, bool) {
	addrs := r.cfg.admit(r.host.Peerstore().Addrs(p))
	return peer.AddrInfo{ID: p, Addrs: addrs}, len(addrs) > 0
}

// Named notes for a short time the addresses that somebody gave for a peer, and says whether
// there is anything to dial. The peer becomes no member by that.
func (r *Router) Named(p peer.AddrInfo) bool {
	if p.ID == r.self {
		return false
	}
	if r.host.Network().Connectedness(p.ID) == network.Connected {
		return true
	}
	addrs := r.cfg.admit(p.Addrs)
	r.host.Peerstore().AddAddrs(p.ID, addrs, peerstore.TempAddrTTL)
	return len(addrs) > 0
}

// Afresh gives the n live members nearest to h as a lookup shows them now, whatever counts as
// known. Within ten seconds of a lookup that did not end in time what is known must do.
func (r *Router) Afresh(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, err error) {
	key := keyspace.OfHash(h)
	r.mu.Lock()
	hurried := time.Now().Before(r.hurried)
	r.mu.Unlock()
	if !hurried {
		look, cancel := context.WithTimeout(ctx, r.cfg.Lookup)
		_, err = r.lookup(look, key, string(h))
		cancel()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("dht: lookup: %w", ctx.Err())
		}
	}
	seats, failed := r.fill(ctx, key, n, false)
	if failed != nil {
		return nil, fmt.Errorf("dht: closest to %s: %w", h.B58String(), failed)
	}
	for _, s := range seats {
		ids = append(ids, s.peer)
	}
	if len(ids) > 0 {
		err = nil // what is known does
	}
	return ids, err
}
