package wire

import (
	"context"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// turns lets peers have bytes one after the other, so that each of those who wait gets
// as many as the next, however many streams it has (start-time fair queueing). Bytes in
// hand are bounded, and no peer may have more than a quarter of them, so that the slow
// cannot hold up the others.
type turns struct {
	limit int64

	mu    sync.Mutex
	hand  int64            // guarded by mu: bytes being sent
	clock int64            // guarded by mu: virtual time, bytes
	line  map[peer.ID]*pew // guarded by mu: who waits or has something in hand
	wait  []*turn          // guarded by mu: in order of arrival
}

// pew is one peer's place.
type pew struct {
	hand int64 // bytes being sent
	last int64 // virtual time at which its last turn ends
	uses int
}

type turn struct {
	p     peer.ID
	n     int64
	start int64
	ready chan struct{}
}

func newTurns(limit int64) *turns { return &turns{limit: limit, line: map[peer.ID]*pew{}} }

// take waits for the turn of p to have n bytes in hand; done must follow.
func (t *turns) take(ctx context.Context, p peer.ID, n int64) error {
	t.mu.Lock()
	w := t.line[p]
	if w == nil {
		w = &pew{last: t.clock}
		t.line[p] = w
	}
	w.uses++
	u := &turn{p: p, n: n, start: max(t.clock, w.last), ready: make(chan struct{})}
	w.last = u.start + n
	t.wait = append(t.wait, u)
	t.serve()
	t.mu.Unlock()
	select {
	case <-u.ready:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	if i := slices.Index(t.wait, u); i >= 0 {
		t.wait = slices.Delete(t.wait, i, i+1)
		t.leave(p)
		t.mu.Unlock()
	} else {
		t.mu.Unlock()
		t.done(p, n)
	}
	return ctx.Err()
}

// done gives back n bytes of p.
func (t *turns) done(p peer.ID, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hand -= n
	t.line[p].hand -= n
	t.leave(p)
	t.serve()
}

func (t *turns) leave(p peer.ID) {
	if w := t.line[p]; w.uses > 1 {
		w.uses--
	} else {
		delete(t.line, p)
	}
}

// serve lets those go on whose turn it is.
func (t *turns) serve() {
	for {
		best := -1
		for i, u := range t.wait {
			w := t.line[u.p]
			if t.hand > 0 && t.hand+u.n > t.limit || w.hand > 0 && w.hand+u.n > t.limit/4 {
				continue
			}
			if best < 0 || u.start < t.wait[best].start {
				best = i
			}
		}
		if best < 0 {
			return
		}
		u := t.wait[best]
		t.wait = slices.Delete(t.wait, best, best+1)
		t.hand += u.n
		t.line[u.p].hand += u.n
		t.clock = max(t.clock, u.start)
		close(u.ready)
	}
}
