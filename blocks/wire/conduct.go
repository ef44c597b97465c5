package wire

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// The consequences of an offence.
const (
	tolerated = 3         // offences within the time of a refusal
	refusedIs = time.Hour // how long a refusal lasts, and an offence is remembered
	maxKnown  = 4096      // offenders that are remembered
)

// Conduct is the one place where the offences of peers are counted, whichever side
// they were noticed on. A nil Conduct counts nothing.
type Conduct struct {
	refuse func(p peer.ID, d time.Duration)

	mu sync.Mutex
	m  map[peer.ID]*offender // guarded by mu
}

type offender struct {
	count int
	since time.Time // the first of them
	until time.Time // refused; zero: not
}

// NewConduct counts offences. refuse, which may be nil, is told of each peer that is
// refused from now on, and for how long; it must not wait for a stream of that peer.
func NewConduct(refuse func(p peer.ID, d time.Duration)) *Conduct {
	return &Conduct{refuse: refuse, m: map[peer.ID]*offender{}}
}

// Refused reports whether nothing is asked of p, and nothing answered.
func (c *Conduct) Refused(p peer.ID) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.m[p]
	return o != nil && time.Now().Before(o.until)
}

// offence counts n offences of p.
func (c *Conduct) offence(p peer.ID, n int) {
	if c == nil || !c.count(p, n) || c.refuse == nil {
		return
	}
	c.refuse(p, refusedIs)
}

// count reports whether p is refused with this offence.
func (c *Conduct) count(p peer.ID, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	o := c.m[p]
	if o == nil || now.Sub(o.since) > refusedIs && now.After(o.until) {
		if len(c.m) >= maxKnown {
			c.forget(now)
		}
		o = &offender{since: now}
		c.m[p] = o
	}
	o.count += n
	if o.count < tolerated || now.Before(o.until) {
		return false
	}
	o.until = now.Add(refusedIs)
	return true
}

// forget makes room: what is old, or else the oldest.
func (c *Conduct) forget(now time.Time) {
	var oldest peer.ID
	for p, o := range c.m {
		if now.Sub(o.since) > refusedIs && now.After(o.until) {
			delete(c.m, p)
			continue
		}
		if oldest == "" || o.since.Before(c.m[oldest].since) {
			oldest = p
		}
	}
	if len(c.m) >= maxKnown {
		delete(c.m, oldest)
	}
}
