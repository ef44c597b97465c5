package dht

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
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

// Run finds the network and watches it until ctx is done.
func (r *Router) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { r.seek(ctx); return nil })
	g.Go(func() error { r.warm(ctx); return nil })
	g.Go(func() error { return r.watch(ctx) })
	return g.Wait()
}

// The steps of warming up.
const (
	lonely  = time.Second           // with an empty table for this long a peer calls itself alone
	look    = 20 * time.Millisecond // between two looks at the routing table
	refresh = 10 * time.Second      // for filling the table once
)

// seek dials the bootstrap peers whenever nobody else is known.
func (r *Router) seek(ctx context.Context) {
	for {
		if r.kad.RoutingTable().Size() == 0 {
			r.bootstrap(ctx)
		}
		if !sleep(ctx, jitter(r.cfg.Retry)) {
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

// neighboursLocked are the members nearest to this peer, those in their grace too.
func (r *Router) neighboursLocked() (ids []peer.ID) {
	for _, m := range r.view.nearest(keyspace.OfPeer(r.self), r.cfg.Neighbours, func(m *member) bool { return m.met && m.id != r.self }) {
		ids = append(ids, m.id)
	}
	return ids
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

// watch keeps the view true by what the host sees: who connects and speaks as a
// member, who is lost, and whose grace is over.
func (r *Router) watch(ctx context.Context) error {
	sub, err := r.host.EventBus().Subscribe([]any{
		new(event.EvtPeerConnectednessChanged), new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated),
	})
	if err != nil {
		return fmt.Errorf("dht: watch: %w", err)
	}
	defer sub.Close()
	var redials sync.WaitGroup // ended by their deadlines, waited for here
	defer redials.Wait()
	for _, p := range r.host.Network().Peers() {
		r.seen(p)
	}
	due := time.NewTimer(r.cfg.keep())
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-sub.Out():
			if !ok {
				return nil
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				r.seen(e.Peer)
			case event.EvtPeerProtocolsUpdated:
				r.seen(e.Peer)
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness == network.Connected {
					r.seen(e.Peer)
				} else if e.Connectedness == network.NotConnected && r.known(e.Peer) {
					redials.Go(func() { r.redial(ctx, e.Peer) })
				}
			}
		case <-r.gone:
		case <-due.C:
		}
		r.mu.Lock()
		departed, next := r.view.expire(time.Now(), r.cfg.Grace, r.cfg.keep(), r.self)
		for p, a := range r.dials {
			if !a.end.IsZero() && time.Since(a.end) > failedFor {
				delete(r.dials, p)
			}
		}
		r.mu.Unlock()
		for _, p := range departed {
			r.cfg.Log.Info("member departed", "peer", p)
		}
		if len(departed) > 0 {
			r.protect()
			r.wake()
		}
		wait := r.cfg.keep()
		if !next.IsZero() {
			wait = min(wait, max(time.Until(next), 0))
		}
		due.Reset(wait)
	}
}

// seen notes p if it is a member.
func (r *Router) seen(p peer.ID) {
	if !r.IsMember(p) {
		return
	}
	r.mu.Lock()
	news := r.view.meet(p, time.Now())
	delete(r.dials, p)
	r.mu.Unlock()
	if news {
		r.cfg.Log.Debug("member met", "peer", p)
		r.protect()
		r.wake()
	}
}

func (r *Router) known(p peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.view.members[p]
	return m != nil && m.met
}

// redial tries a lost member at once and a second later; then it counts as lost.
func (r *Router) redial(ctx context.Context, p peer.ID) {
	for _, wait := range []time.Duration{0, time.Second} {
		if !sleep(ctx, wait) {
			return
		}
		if r.dial(ctx, p) {
			return
		}
		r.mu.Lock()
		if a := r.dials[p]; a != nil && !a.end.IsZero() {
			delete(r.dials, p) // so that the second try is one
		}
		r.mu.Unlock()
	}
	r.lose(p)
	r.cfg.Log.Debug("member lost", "peer", p)
	r.wake() // its blocks may need copies before its grace is over
}

// protect keeps the connections to the members nearest to this peer.
func (r *Router) protect() {
	const tag = "neighbour"
	r.mu.Lock()
	near := r.neighboursLocked()
	old := r.near
	r.near = near
	r.mu.Unlock()
	for _, p := range near {
		r.host.ConnManager().Protect(p, tag)
	}
	for _, p := range old {
		if !slices.Contains(near, p) {
			r.host.ConnManager().Unprotect(p, tag)
		}
	}
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

// lose notes that p cannot be reached, and sees to it that its grace is watched.
func (r *Router) lose(p peer.ID) {
	r.mu.Lock()
	if r.host.Network().Connectedness(p) != network.Connected { // it may have come back from its side
		r.view.lost(p, time.Now())
	}
	r.mu.Unlock()
	select {
	case r.gone <- struct{}{}:
	default:
	}
}
