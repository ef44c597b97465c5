package dht

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	brakeLeast   = 8 // neighbours, of fewer nothing follows
	brakeOutside = 3 // peers elsewhere that are tried
)

// CutOff reports whether it is likely this peer that is cut off, and not its
// neighbours that died: more than half of at least 8 are suspect, and of up to 3
// members and bootstrap peers elsewhere none can be reached. Who repairs for others'
// sake waits then. It takes as long as a dial; if it is true the bootstrap peers are
// tried too.
func (r *Router) CutOff(ctx context.Context) bool {
	r.mu.Lock()
	suspect := 0
	near := map[peer.ID]bool{}
	for _, p := range r.near {
		near[p] = true
		if m := r.view.members[p]; m != nil && !m.gone.IsZero() {
			suspect++
		}
	}
	all := len(near)
	var outside []peer.ID
	for p, m := range r.view.members { // in no order: a sample
		if m.met && p != r.self && !near[p] && len(outside) < brakeOutside {
			outside = append(outside, p)
		}
	}
	r.mu.Unlock()
	for _, b := range r.cfg.Bootstrap {
		if b.ID != r.self && !near[b.ID] && len(outside) < brakeOutside {
			outside = append(outside, b.ID)
			r.host.Peerstore().AddAddrs(b.ID, b.Addrs, time.Hour)
		}
	}
	if all < brakeLeast || 2*suspect <= all || len(outside) == 0 {
		return false
	}
	reached := make([]bool, len(outside))
	var wg sync.WaitGroup // ends with the dials, each of which has a deadline
	for i, p := range outside {
		wg.Go(func() {
			if r.host.Network().Connectedness(p) != network.Connected {
				reached[i] = r.dial(ctx, p, true)
			} else {
				reached[i] = r.greet(ctx, p) == nil // a connection may be a memory
			}
		})
	}
	wg.Wait()
	for _, ok := range reached {
		if ok {
			return false
		}
	}
	if ctx.Err() != nil {
		return false
	}
	r.cfg.Log.Warn("this peer seems to be cut off", "neighbours", all, "suspect", suspect)
	signal(r.cut)
	return true
}
