package dht

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

// When a network was parted for longer than the grace, each half has forgotten the other,
// and its tables hold nobody who could tell of it. So members that departed are remembered
// for a day, and one of them is tried now and then: the first that answers joins the
// halves again.
const (
	rejoinFor  = 24 * time.Hour
	rejoinMost = 64 // members that are remembered, the ones lost last
)

// lostMember is how a member was reached before it was lost.
type lostMember struct {
	info peer.AddrInfo
	at   time.Time
}

// noteLost remembers how the member p was reached: when its connection ends, as its
// addresses may be forgotten before its grace is over, and when that is over, as its
// connection may seem to stand still.
func (r *Router) noteLost(p peer.ID) {
	info := r.host.Peerstore().PeerInfo(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(info.Addrs) == 0 {
		return
	}
	if r.lost[p] == nil && len(r.lost) >= rejoinMost {
		var oldest peer.ID
		for q, l := range r.lost {
			if oldest == "" || l.at.Before(r.lost[oldest].at) {
				oldest = q
			}
		}
		delete(r.lost, oldest)
	}
	r.lost[p] = &lostMember{info, time.Now()}
}

// rejoin tries one of the departed at a time, until ctx is done.
func (r *Router) rejoin(ctx context.Context) {
	for {
		select {
		case <-time.After(jitter(r.cfg.Grace / 6)):
		case <-ctx.Done():
			return
		}
		if info, ok := r.someLost(); ok {
			r.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.TempAddrTTL)
			if r.dial(ctx, info.ID, true) {
				r.cfg.Log.Info("a member that had departed is back", "peer", info.ID)
			}
		}
	}
}

// someLost picks one of those who departed, and forgets who came back or is gone for long.
func (r *Router) someLost() (peer.AddrInfo, bool) {
	now := time.Now()
	var some []peer.AddrInfo
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, l := range r.lost {
		m := r.view.members[p]
		switch {
		case now.Sub(l.at) > rejoinFor || m != nil && m.gone.IsZero():
			delete(r.lost, p)
		case m == nil && r.host.Network().Connectedness(p) != network.Connected:
			some = append(some, l.info)
		}
	}
	if len(some) == 0 {
		return peer.AddrInfo{}, false
	}
	return some[rand.IntN(len(some))], true
}
