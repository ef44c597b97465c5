package dht

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"
)

// failedFor is how long a failed dial stands for the next ones to the same peer.
const failedFor = 2 * time.Second

// dial connects to p within its deadline. Callers at the same time share a dial; when
// the one who dials gives up for reasons of its own, the next one dials.
func (r *Router) dial(ctx context.Context, p peer.ID) bool {
	for ctx.Err() == nil {
		r.mu.Lock()
		a := r.dials[p]
		if a == nil || !a.end.IsZero() && time.Since(a.end) > failedFor {
			a = &attempt{done: make(chan struct{})}
			r.dials[p] = a
			r.mu.Unlock()
			return r.try(ctx, p, a)
		}
		failed := !a.end.IsZero()
		r.mu.Unlock()
		if failed {
			return false
		}
		select {
		case <-a.done:
			if r.host.Network().Connectedness(p) == network.Connected {
				return true
			}
		case <-ctx.Done():
		}
	}
	return false
}

// try is one dial. A failure stands for a while, and counts as p being lost, unless
// it was ctx that ended.
func (r *Router) try(ctx context.Context, p peer.ID, a *attempt) bool {
	info := r.host.Peerstore().PeerInfo(p)
	limit := r.cfg.Dial
	for _, x := range info.Addrs {
		if manet.IsPublicAddr(x) {
			limit = r.cfg.DialPublic
		}
	}
	limited, cancel := context.WithTimeout(network.WithForceDirectDial(ctx, "candidate holder"), limit)
	defer cancel()
	err := r.host.Connect(limited, info)
	defer close(a.done)
	if r.ended(p, a, err == nil || ctx.Err() != nil) {
		return err == nil
	}
	r.lose(p)
	r.cfg.Log.Debug("candidate not reached", "peer", p, "err", err)
	return false
}

// ended enters how a dial ended, and gives back whether it says nothing against p.
func (r *Router) ended(p peer.ID, a *attempt, fine bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !fine {
		a.end = time.Now()
	} else if r.dials[p] == a {
		delete(r.dials, p)
	}
	return fine
}
