package replica

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// The consequences of a failed audit.
const (
	distrusted = 24 * time.Hour     // who failed counts as no holder
	expelled   = 7 * 24 * time.Hour // who failed often is no member
	often      = 3                  // failures, each after the time of the one before
	maxFailed  = 4096               // peers that are remembered
)

// trust is who failed to prove what it said it had. Its zero value trusts everyone.
type trust struct {
	mu     sync.Mutex
	failed map[peer.ID]*failures // guarded by mu
	audits Audits                // guarded by mu
}

type failures struct {
	count int
	last  time.Time
}

// Audits is how many blocks others were asked to prove, how many of those they could
// not, and of how many no answer came.
type Audits struct{ Asked, Failed, Unanswered int64 }

// Audited is what audits have shown since the start.
func (s *Set) Audited() Audits {
	s.trust.mu.Lock()
	defer s.trust.mu.Unlock()
	return s.trust.audits
}

// Distrusted gives the peers whose word does not count now.
func (s *Set) Distrusted() (ids []peer.ID) {
	s.trust.mu.Lock()
	defer s.trust.mu.Unlock()
	for p := range s.trust.failed {
		if s.trust.outLocked(p, false) {
			ids = append(ids, p)
		}
	}
	return ids
}

// trusted reports whether p counts as a holder of what it says it has.
func (s *Set) trusted(p peer.ID) bool {
	s.trust.mu.Lock()
	defer s.trust.mu.Unlock()
	return !s.trust.outLocked(p, false)
}

// outLocked reports whether p is distrusted; hard asks only for those expelled.
func (t *trust) outLocked(p peer.ID, hard bool) bool {
	f := t.failed[p]
	if f == nil {
		return false
	}
	age := time.Since(f.last)
	if f.count >= often {
		return age < expelled
	}
	return !hard && age < distrusted
}

// blame notes that p failed an audit, and reports whether that is news. While p is
// distrusted its further failures are not counted: they have the same cause.
func (t *trust) blame(p peer.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outLocked(p, false) {
		return false
	}
	f := t.failed[p]
	if f == nil || time.Since(f.last) > expelled {
		if len(t.failed) >= maxFailed {
			t.forgetLocked()
		}
		f = &failures{}
		if t.failed == nil {
			t.failed = map[peer.ID]*failures{}
		}
		t.failed[p] = f
	}
	f.count++
	f.last = time.Now()
	return true
}

// forgetLocked makes room for one more: whose failure is longest ago goes.
func (t *trust) forgetLocked() {
	var oldest peer.ID
	for p, f := range t.failed {
		if oldest == "" || f.last.Before(t.failed[oldest].last) {
			oldest = p
		}
	}
	delete(t.failed, oldest)
}

// out gives how many are out.
func (t *trust) out(hard bool) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := range t.failed {
		if t.outLocked(p, hard) {
			n++
		}
	}
	return n
}

func (t *trust) is(p peer.ID, hard bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.outLocked(p, hard)
}

// trusting is a Router that leaves out who cannot be relied on: those that failed an
// audit have no seat, so that repair fills it; those that failed often are no members.
type trusting struct {
	Router
	trust *trust
}

// Closest is the Router's, without those that failed often.
func (r trusting) Closest(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, bool, error) {
	out := r.trust.out(true)
	ids, exact, err := r.Router.Closest(ctx, h, n+out)
	if out == 0 || err != nil {
		return ids, exact, err
	}
	var left []peer.ID
	for _, p := range ids {
		if !r.trust.is(p, true) && len(left) < n {
			left = append(left, p)
		}
	}
	return left, exact, nil
}

// Seats is the Router's, without those that failed.
func (r trusting) Seats(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, []bool, error) {
	out := r.trust.out(false)
	ids, alive, err := r.Router.Seats(ctx, h, n+out)
	if out == 0 || err != nil {
		return ids, alive, err
	}
	var left []peer.ID
	var up []bool
	for i, p := range ids {
		if !r.trust.is(p, false) && len(left) < n {
			left, up = append(left, p), append(up, alive[i])
		}
	}
	return left, up, nil
}

// CutOff is the Router's, if it knows.
func (r trusting) CutOff(ctx context.Context) bool {
	c, ok := r.Router.(interface{ CutOff(context.Context) bool })
	return ok && c.CutOff(ctx)
}
