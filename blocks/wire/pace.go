package wire

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// What one peer may have proved to it.
const (
	proofRate  = 8 << 20                   // bytes of blocks a second
	proofBurst = int64(Proofs) * (2 << 20) // the largest question is answered at once
	maxPaced   = 4096                      // peers that are remembered
)

// pace is how many bytes are read for the proofs that each peer asks for: who asks for
// more than its rate waits, each stream for itself.
type pace struct {
	mu   sync.Mutex
	free map[peer.ID]time.Time // guarded by mu: when all that p was given is made up for
}

func newPace() *pace { return &pace{free: map[peer.ID]time.Time{}} }

// take waits until p may have n more bytes read.
func (a *pace) take(ctx context.Context, p peer.ID, n int64) error {
	wait := a.book(p, n, time.Now())
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// book enters n bytes for p and gives how long it has to wait for them.
func (a *pace) book(p peer.ID, n int64, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.free) >= maxPaced {
		for q, at := range a.free {
			if !at.After(now) {
				delete(a.free, q)
			}
		}
	}
	at := a.free[p]
	if at.Before(now) {
		at = now
	}
	at = at.Add(time.Duration(n) * time.Second / proofRate)
	a.free[p] = at
	return at.Sub(now) - time.Duration(proofBurst)*time.Second/proofRate
}
