package dht

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"
)

// State is how far a Router is from knowing its part of the network.
type State string

// The states of a Router. Placement and repair wait for [Ready]: on cold tables
// lookups return a third to three quarters of the true closest peers, and say nothing.
const (
	Starting State = "starting"
	Alone    State = "alone"   // no other peer is known or answers
	Warming  State = "warming" // peers are known, the table is being filled
	Ready    State = "ready"
)

// State says how far r is.
func (r *Router) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Ready is closed once r knows its part of the network.
func (r *Router) Ready() <-chan struct{} { return r.ready }

func (r *Router) enter(s State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != s {
		r.cfg.Log.Info("dht state changed", "from", r.state, "to", s)
		r.state = s
	}
}

// Run finds the network and watches it until ctx is done; then it takes leave of
// the members, who keep its seats for the grace.
func (r *Router) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { r.seek(ctx); return nil })
	g.Go(func() error { r.warm(ctx); return nil })
	g.Go(func() error { return r.watch(ctx) })
	g.Go(func() error { r.beat(ctx); return nil })
	g.Go(func() error { r.rejoin(ctx); return nil })
	err := g.Wait()
	r.farewell(context.WithoutCancel(ctx), Draining)
	return err
}

// The steps of warming up.
const (
	lonely  = time.Second           // with an empty table for this long a peer calls itself alone
	look    = 20 * time.Millisecond // between two looks at the routing table
	refresh = 10 * time.Second      // for filling the table once
)

// seek dials the bootstrap peers whenever nobody else is known, and when this peer
// seems to be cut off.
func (r *Router) seek(ctx context.Context) {
	for {
		if r.kad.RoutingTable().Size() == 0 {
			r.bootstrap(ctx)
		}
		again := time.NewTimer(jitter(r.cfg.Retry))
		select {
		case <-again.C:
		case <-r.cut:
			r.bootstrap(ctx)
		case <-ctx.Done():
		}
		again.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// warm goes from an empty table to [Ready]; afterwards it only tells whether this peer
// is alone.
func (r *Router) warm(ctx context.Context) {
	began, pause := time.Now(), look
	for r.kad.RoutingTable().Size() == 0 {
		if len(r.cfg.Bootstrap) == 0 || time.Since(began) >= lonely {
			r.enter(Alone)
			pause = 10 * look
		}
		if !sleep(ctx, pause) {
			return
		}
	}
	r.enter(Warming)
	select {
	case <-r.kad.RefreshRoutingTable():
	case <-time.After(refresh):
	case <-ctx.Done():
		return
	}
	near := r.settle(ctx)
	if ctx.Err() != nil {
		return
	}
	r.enter(Ready)
	if near != nil {
		r.mu.Lock()
		r.showsLocked(keyspace.OfPeer(r.self), near, time.Now())
		r.mu.Unlock()
	}
	close(r.ready)
	r.wake()
	for sleep(ctx, lonely) {
		if len(r.Members()) == 0 {
			r.enter(Alone)
		} else {
			r.enter(Ready)
		}
	}
}

// settle looks itself up until the answer is the same twice, a few times at most,
// and gives that answer, or none.
func (r *Router) settle(ctx context.Context) (last []peer.ID) {
	for range 5 {
		limited, cancel := context.WithTimeout(ctx, refresh)
		now, err := r.lookup(limited, keyspace.OfPeer(r.self), string(r.self))
		cancel()
		if err == nil && last != nil && slices.Equal(now, last) {
			return now
		}
		last = now
		if !sleep(ctx, look) {
			return nil
		}
	}
	return nil
}

// bootstrap dials the bootstrap peers, all at once.
func (r *Router) bootstrap(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // for the whole of it
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range r.cfg.Bootstrap {
		if p.ID == r.self {
			continue
		}
		wg.Go(func() {
			if err := r.host.Connect(ctx, p); err != nil {
				r.cfg.Log.Debug("bootstrap peer not reached", "peer", p.ID, "err", err)
			}
		})
	}
	wg.Wait()
}

// sleep waits for d and reports whether ctx still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
