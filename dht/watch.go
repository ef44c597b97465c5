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
)

// few is a network so small that the end of a connection is never for want of room:
// then every lost member is tried again, not only the neighbours.
const few = 32

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
	var errands sync.WaitGroup // ended by their deadlines, waited for here
	defer errands.Wait()
	meet := func(p peer.ID) {
		if !r.seen(p) {
			errands.Go(func() { r.introduce(ctx, p) })
		}
	}
	for _, p := range r.host.Network().Peers() {
		meet(p)
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
				meet(e.Peer)
			case event.EvtPeerProtocolsUpdated:
				meet(e.Peer)
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness == network.NotConnected && r.isMember(e.Peer) {
					r.noteLost(e.Peer)
				}
				if e.Connectedness == network.NotConnected && r.ended(e.Peer) {
					errands.Go(func() { r.redial(ctx, e.Peer) })
				}
			}
		case <-r.gone:
		case <-due.C:
		}
		due.Reset(r.tidy())
	}
}

// tidy lets go of those whose grace is over, and of what is old. It gives the time
// until there is more to do.
func (r *Router) tidy() time.Duration {
	now := time.Now()
	r.mu.Lock()
	departed, next := r.view.expire(now, r.cfg.Grace, r.cfg.keep(), r.self)
	for p, a := range r.dials {
		if !a.end.IsZero() && now.Sub(a.end) > 2*maxBack {
			delete(r.dials, p)
		}
	}
	for p := range r.hellos { // who departed is greeted anew, if it is there at all
		if slices.Contains(departed, p) || r.host.Network().Connectedness(p) != network.Connected {
			delete(r.hellos, p)
		}
	}
	r.mu.Unlock()
	for _, p := range departed {
		r.noteLost(p)
		r.cfg.Log.Info("member departed", "peer", p)
	}
	if len(departed) > 0 {
		r.protect()
		r.wake()
	}
	wait := r.cfg.keep()
	if !next.IsZero() {
		wait = min(wait, max(next.Sub(now), 0))
	}
	return wait
}

// seen notes p if it is a connected member that has said hello. It reports whether
// nothing is left to do: false means that p speaks as a member and is to be greeted.
func (r *Router) seen(p peer.ID) bool {
	if r.host.Network().Connectedness(p) != network.Connected {
		return true
	}
	strange := r.strange(p)
	speaks := r.isMember(p)
	r.mu.Lock()
	if !speaks {
		m := r.view.members[p]
		met := m != nil && m.met
		if m != nil && strange && !met {
			m.stranger = true
		}
		r.mu.Unlock()
		if strange && met { // as one that starts again does until all of it is there: it keeps its seat for the grace
			r.suspect(p, "it does not store for others")
		}
		return true
	}
	h, greeted := r.hellos[p]
	if !greeted || h.Net != r.cfg.netID() || h.Flags&(Draining|Leaving) != 0 {
		r.mu.Unlock()
		return greeted
	}
	news := r.view.meet(p, time.Now())
	delete(r.dials, p)
	r.mu.Unlock()
	r.place(p)
	if news {
		r.cfg.Log.Debug("member met", "peer", p)
		r.protect()
		r.wake()
		signal(r.pulse)
	}
	return true
}

// introduce greets a peer that speaks as a member, a few times at most.
func (r *Router) introduce(ctx context.Context, p peer.ID) {
	for _, wait := range []time.Duration{0, time.Second, 5 * time.Second} {
		if wait > 0 && !sleep(ctx, wait) || r.seen(p) {
			return
		}
		err := r.greet(ctx, p)
		if err == nil {
			return
		}
		r.cfg.Log.Debug("member not greeted", "peer", p, "err", err)
	}
}

// ended notes that the connection to p has ended, and reports whether p is to be
// tried again at once.
func (r *Router) ended(p peer.ID) bool {
	if r.host.Network().Connectedness(p) == network.Connected {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.hellos, p)
	m := r.view.members[p]
	if m == nil {
		return false
	}
	m.up, m.heard, m.line = false, time.Now(), nil
	return m.met && m.gone.IsZero() && (m.near || len(r.view.members) <= few)
}

// redial tries a lost member at once and a second later; then it is suspect.
func (r *Router) redial(ctx context.Context, p peer.ID) {
	for _, wait := range []time.Duration{0, time.Second} {
		if wait > 0 && !sleep(ctx, wait) {
			return
		}
		if r.dial(ctx, p, true) {
			return
		}
	}
	if ctx.Err() == nil {
		r.suspect(p, "connection lost")
	}
}

// suspect notes that a member does not answer. It keeps its seat for the grace.
func (r *Router) suspect(p peer.ID, why string) {
	r.mu.Lock()
	news := r.view.lost(p, time.Now())
	if m := r.view.members[p]; m != nil && news {
		m.tries, m.next = 0, time.Now().Add(r.cfg.Ping)
	}
	r.mu.Unlock()
	if news {
		r.cfg.Log.Info("member suspect", "peer", p, "why", why)
		r.grieve()
	}
}

// grieve tells those who wait that a member was lost: its blocks may need copies
// before its grace is over, and its grace has an end.
func (r *Router) grieve() {
	r.wake()
	signal(r.gone)
	signal(r.pulse)
}

// protect keeps the connections to the members nearest to this peer.
func (r *Router) protect() {
	const tag = "neighbour"
	r.mu.Lock()
	defer r.mu.Unlock()
	near := r.neighboursLocked()
	for _, p := range near {
		r.view.members[p].near = true
		r.host.ConnManager().Protect(p, tag)
	}
	for _, p := range r.near {
		if !slices.Contains(near, p) {
			if m := r.view.members[p]; m != nil {
				m.near = false
			}
			r.host.ConnManager().Unprotect(p, tag)
		}
	}
	r.near = near
}

// neighboursLocked are the members nearest to this peer, those in their grace too.
func (r *Router) neighboursLocked() (ids []peer.ID) {
	for _, m := range r.view.nearest(keyspace.OfPeer(r.self), r.cfg.Neighbours, func(m *member) bool { return m.met && m.id != r.self }) {
		ids = append(ids, m.id)
	}
	return ids
}

// signal wakes the one reader of c, now or when it next looks.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
