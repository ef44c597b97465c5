package dht

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"
)

// A failed dial stands for the next ones to the same peer, and each further one for
// twice as long: lookups go on to name peers that are gone.
const (
	firstBack = 2 * time.Second
	maxBack   = 30 * time.Second
)

// attempt is one dial that several callers wait for.
type attempt struct {
	done  chan struct{} // closed when it has ended
	end   time.Time     // guarded by Router.mu; when it failed
	fails int           // guarded by Router.mu; in a row
}

// stands reports whether a has failed so lately that no new dial is worth it.
func (a *attempt) stands(now time.Time) bool {
	return !a.end.IsZero() && now.Sub(a.end) <= min(firstBack<<min(a.fails-1, 8), maxBack)
}

// dial connects to p and greets it if it is a member, within its deadline. Callers at
// the same time share a dial; when the one who dials gives up for reasons of its own,
// the next one dials. What failed lately is not tried again, unless again says so.
func (r *Router) dial(ctx context.Context, p peer.ID, again bool) bool {
	for ctx.Err() == nil {
		r.mu.Lock()
		a := r.dials[p]
		failed := a != nil && !a.end.IsZero()
		if a == nil || failed && (again || !a.stands(time.Now())) {
			b := &attempt{done: make(chan struct{})}
			if a != nil {
				b.fails = a.fails
			}
			r.dials[p] = b
			r.mu.Unlock()
			return r.try(ctx, p, b)
		}
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
			limit = max(limit, r.cfg.DialPublic)
		}
	}
	limited, cancel := context.WithTimeout(network.WithForceDirectDial(ctx, "candidate holder"), limit)
	defer cancel()
	err := r.host.Connect(limited, info)
	if _, greeted := r.Hello(p); err == nil && !greeted && r.isMember(p) {
		err = r.greet(limited, p)
	}
	defer close(a.done)
	if r.tried(p, a, err == nil || ctx.Err() != nil) {
		return err == nil
	}
	if _, greeted := r.Hello(p); !greeted || r.host.Network().Connectedness(p) != network.Connected {
		r.suspect(p, "not reached") // unless it has come back from its side
	}
	r.cfg.Log.Debug("candidate not reached", "peer", p, "err", err)
	return false
}

// tried enters how a dial ended, and gives back whether it says nothing against p.
func (r *Router) tried(p peer.ID, a *attempt, fine bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !fine {
		a.end = time.Now()
		a.fails++
	} else if r.dials[p] == a {
		delete(r.dials, p)
	}
	return fine
}
