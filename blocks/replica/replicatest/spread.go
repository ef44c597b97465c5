package replicatest

import (
	"context"
	"time"

	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

var _ replica.Places = router{}

// Group implements replica.Places.
func (r router) Group(p peer.ID) keyspace.Group {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	n, ok := r.w.byID[p]
	if !ok || r.w.members[n].outside {
		return keyspace.Group{}
	}
	return r.w.cfg.Group(int(n))
}

// Nearby implements replica.Places.
func (r router) Nearby(h mh.Multihash, n int) []peer.ID {
	ids, _, err := r.seats(h, n, true)
	if err != nil { // nobody is known
		return nil
	}
	return ids
}

// Reach implements replica.Places.
func (r router) Reach(_ context.Context, ps []peer.ID) (alive, seat []bool) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	alive, seat = make([]bool, len(ps)), make([]bool, len(ps))
	for i, p := range ps {
		if n, ok := r.w.byID[p]; ok {
			alive[i], seat[i] = r.w.sees(r.m, r.w.members[n], time.Now())
		}
	}
	return alive, seat
}
