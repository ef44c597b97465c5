package replica

import (
	"context"
	"net/netip"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Ids cost nothing, addresses do. So what strangers bring is measured twice, by peer and by net
// (/24, or /48 of IPv6):
//
//	bytes a second: of a peer, and of all peers of a net together. Who is above waits; the wait
//	  holds back his credit and that of nobody else.
//	bytes a day:    of a net, once most of the space is taken, under leases that are new. Who is
//	  above is refused and goes to the next closest.
//
// So many new publishers in few nets do not take what is left of the space before those who were
// there notice. A lease is new for 7 days, by its own date and by when its first block came
// here, since who signs it sets the date. The net is the one in which its publisher is seen,
// and where he is not seen, that of who brings the block. Where nobody's net is known, as in
// a private network, nets have no bounds.

// The most peers or nets that are remembered, for how long a peer or a net may bring more than
// its rate, and for how long a lease is new.
const (
	maxMetered = 4096
	burst      = 8 * time.Second
	day        = 24 * time.Hour
	newFor     = 7 * day
)

// meter says of each of some until when what it has had is spoken for, at its rate.
type meter[K comparable] struct {
	burst time.Duration // of its rate that each may have at once
	until map[K]time.Time
	swept time.Time
}

func newMeter[K comparable](burst time.Duration) meter[K] {
	return meter[K]{burst: burst, until: map[K]time.Time{}}
}

// after is until when k would be spoken for with cost more, the time that this takes at its rate.
func (m *meter[K]) after(k K, cost time.Duration, now time.Time) time.Time {
	at := m.until[k]
	if earliest := now.Add(-m.burst); at.Before(earliest) {
		at = earliest
	}
	return at.Add(cost)
}

// fits reports whether k may have cost more at once. Of those for whom there is no place it may not.
func (m *meter[K]) fits(k K, cost time.Duration, now time.Time) bool {
	m.sweep(now)
	if _, known := m.until[k]; !known && len(m.until) >= maxMetered {
		return false
	}
	return !m.after(k, cost, now).After(now)
}

// book enters cost for k and gives for how long k is above its rate by that.
func (m *meter[K]) book(k K, cost time.Duration, now time.Time) time.Duration {
	m.sweep(now)
	m.until[k] = m.after(k, cost, now)
	return m.until[k].Sub(now)
}

// sweep forgets those who have had nothing for a burst, when there are many.
func (m *meter[K]) sweep(now time.Time) {
	if len(m.until) < maxMetered || now.Sub(m.swept) < m.burst/8 {
		return
	}
	m.swept = now
	for k, at := range m.until {
		if now.Sub(at) > m.burst {
			delete(m.until, k)
		}
	}
}

// netMeters are those of nets: of what they bring, and of what they get of the last of the space.
type netMeters struct{ second, day meter[netip.Prefix] }

func newNetMeters() netMeters {
	return netMeters{newMeter[netip.Prefix](burst), newMeter[netip.Prefix](day)}
}

// netOf is the net in which the first of ps is seen that is seen in one; the zero Prefix is none.
func (s *Set) netOf(ps ...peer.ID) netip.Prefix {
	if s.cfg.Places == nil {
		return netip.Prefix{}
	}
	for _, p := range ps {
		if g := s.cfg.Places.Group(p); g.Net.IsValid() {
			return g.Net
		}
	}
	return netip.Prefix{}
}

// rationedLocked reports whether what net brings under l comes out of its part of the day. The caller holds mu.
func (s *Set) rationedLocked(l blocks.Lease, net netip.Prefix) bool {
	if s.cfg.NetDay < 0 || !net.IsValid() {
		return false
	}
	id, now := l.ID(), time.Now()
	if s.books.under[id] == 0 {
		return true
	}
	if since, ok := s.books.since[id]; ok {
		return now.Sub(since) < newFor
	}
	return now.Sub(l.Issued) < newFor
}

// perDay is the time in which a net gets n bytes.
func (s *Set) perDay(n int64) time.Duration {
	return time.Duration(float64(n) / float64(s.cfg.NetDay) * float64(day))
}

// Rationed is how many offers of blocks were refused because their net had had its part of the day.
func (s *Set) Rationed() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rationed
}

// pace waits until size bytes more are within the rate of from and of its net, and reports
// whether ctx still stands.
func (s *Set) pace(ctx context.Context, from peer.ID, size int64) bool {
	net, now, wait := s.netOf(from), time.Now(), time.Duration(0)
	at := func(rate int64) time.Duration {
		return time.Duration(float64(size) / float64(rate) * float64(time.Second))
	}
	s.mu.Lock()
	if s.cfg.PeerRate >= 0 {
		wait = s.pacing.book(from, at(s.cfg.PeerRate), now)
	}
	if s.cfg.NetRate >= 0 && net.IsValid() {
		wait = max(wait, s.meters.second.book(net, at(s.cfg.NetRate), now))
	}
	s.mu.Unlock()
	if wait > 0 {
		return sleep(ctx, wait)
	}
	return ctx.Err() == nil
}
