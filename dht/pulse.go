package dht

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// witnesses are asked about a member that does not answer, before it is suspect.
const witnesses = 2

// slower is how much less often those are pinged that are no neighbours.
const slower = 4

// patience is how long a ping may take.
func (c Config) patience() time.Duration { return min(c.Ping, 5*time.Second) }

// silence is how long a stream may be without a request: some pings of the slow sort.
func (c Config) silence() time.Duration { return max(3*slower*c.Ping, time.Minute) }

// pace is the time to the next ping of a member that answers: a quarter more or less
// than it says, so that a network does not beat as one.
func (c Config) pace(near bool) time.Duration {
	d := c.Ping
	if !near {
		d *= slower
	}
	return d*3/4 + rand.N(d/2+1)
}

// beat pings the connected members, and tries again those that are suspect. Whoever
// was heard from is not pinged for a while, so of two one does.
func (r *Router) beat(ctx context.Context) {
	var wg sync.WaitGroup // ended by the deadline of each ping
	defer wg.Wait()
	for {
		now := time.Now()
		next := now.Add(r.cfg.Ping)
		r.mu.Lock()
		for p, m := range r.view.members {
			if !m.met || m.busy || p == r.self || m.gone.IsZero() && !m.up {
				continue
			}
			if m.next.IsZero() {
				m.next = now.Add(r.cfg.pace(m.near))
			}
			if m.next.After(now) {
				next = soonest(next, m.next)
				continue
			}
			m.busy = true
			wg.Go(func() { r.pulseOf(ctx, m) })
		}
		r.mu.Unlock()
		t := time.NewTimer(time.Until(next))
		select {
		case <-t.C:
		case <-r.pulse:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

func soonest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// pulseOf is one ping of m, or one try to reach it if it is suspect.
func (r *Router) pulseOf(ctx context.Context, m *member) {
	began := time.Now()
	r.mu.Lock()
	suspect, last := !m.gone.IsZero(), m.misses >= r.cfg.Misses-1
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		m.busy = false
		r.mu.Unlock()
		signal(r.pulse)
	}()
	if suspect {
		if r.host.Network().Connectedness(m.id) != network.Connected {
			r.dial(ctx, m.id, true)
		} else {
			_ = r.greet(ctx, m.id)
		}
		r.mu.Lock()
		m.next = began.Add(max(r.cfg.Ping, min(r.cfg.Ping<<min(m.tries, 8), r.cfg.Grace/4)))
		m.tries++
		r.mu.Unlock()
		return
	}
	seen := make(chan bool, 1)
	if last { // the witnesses are asked beside the last ping
		go func() { seen <- r.witnessed(ctx, m.id) }() // ended by its deadline, waited for below
	} else {
		seen <- true
	}
	err := r.ping(ctx, m)
	alive := <-seen
	if err == nil {
		return // it was heard
	}
	r.mu.Lock()
	m.next = began.Add(r.cfg.Ping)
	r.mu.Unlock()
	if ctx.Err() != nil || r.host.Network().Connectedness(m.id) != network.Connected {
		return // its connection has ended, which is seen elsewhere
	}
	r.mu.Lock()
	m.misses++
	misses := m.misses
	if last && alive {
		m.misses = 0
	}
	r.mu.Unlock()
	r.cfg.Log.Debug("ping not answered", "peer", m.id, "misses", misses, "err", err)
	if last && !alive {
		r.suspect(m.id, "no answer")
	}
}

// ping exchanges Hellos with m on its line.
func (r *Router) ping(ctx context.Context, m *member) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.patience())
	defer cancel()
	r.mu.Lock()
	l := m.line
	r.mu.Unlock()
	for old := l != nil; ; old = false {
		var err error
		if l == nil {
			if l, err = r.line(ctx, m.id); err != nil {
				return err
			}
		}
		answer, err := l.exchange(ctx, r.hello())
		if h, ok := answer.(Hello); err == nil && ok {
			r.mu.Lock()
			m.line = l
			r.mu.Unlock()
			r.heard(m.id, h)
			return nil
		} else if err == nil {
			err = errForm
		}
		_ = l.s.Reset()
		l = nil
		r.mu.Lock()
		m.line = nil
		r.mu.Unlock()
		if !old || ctx.Err() != nil {
			return err
		} // the line was cut while nobody spoke: another one tells
	}
}

// witnessed asks members that are near p whether it answers them.
func (r *Router) witnessed(ctx context.Context, p peer.ID) bool {
	r.mu.Lock()
	near := r.view.nearest(keyspace.OfPeer(p), witnesses, func(m *member) bool {
		return m.met && m.up && m.gone.IsZero() && m.misses == 0 && m.id != p && m.id != r.self
	})
	r.mu.Unlock()
	yes := make([]bool, len(near))
	var wg sync.WaitGroup // ends with the calls, each of which has a deadline
	for i, m := range near {
		wg.Go(func() {
			answer, err := r.call(ctx, m.id, probeReq{p})
			a, ok := answer.(probeAns)
			yes[i] = err == nil && ok && a.alive
		})
	}
	wg.Wait()
	for _, y := range yes {
		if y {
			return true
		}
	}
	return false
}

// probed pings p for somebody else, who waits: only a connected member, and in less
// time than the asker has.
func (r *Router) probed(ctx context.Context, p peer.ID) bool {
	if !r.IsMember(p) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.patience()*3/4)
	defer cancel()
	return r.greet(ctx, p) == nil
}

// farewell tells the members that this peer stops.
func (r *Router) farewell(ctx context.Context, f Flags) {
	r.parting.Store(r.parting.Load() | uint32(f))
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup // ended by the deadline
	for _, p := range r.Members() {
		wg.Go(func() { _ = r.greet(ctx, p) })
	}
	wg.Wait()
}

// Leave tells the members that this peer stops for good: they do not keep its seats,
// and make new copies of what it held at once. It is for just before the end.
func (r *Router) Leave(ctx context.Context) { r.farewell(ctx, Draining|Leaving) }
