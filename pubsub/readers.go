package pubsub

import (
	"context"
	"iter"
	"sync"
)

// backlog is how many updates wait for one reader.
const backlog = 256

// Updates yields what is heard from this call on, our own included, until ctx is
// done; then it ends without an error. It may be ranged over once, and listens
// until it has been or ctx is done. A reader that falls behind by more than 256
// updates loses the oldest. When the bus is closed the last error is [ErrClosed].
func (b *Bus) Updates(ctx context.Context) iter.Seq2[Update, error] {
	r := b.hears.add()
	forget := context.AfterFunc(ctx, func() { b.hears.remove(r) })
	return func(yield func(Update, error) bool) {
		defer forget()
		defer b.hears.remove(r)
		for {
			u, ok := b.hears.next(ctx, r, b.done)
			if !ok {
				break
			}
			if !yield(u, nil) {
				return
			}
		}
		if ctx.Err() == nil {
			yield(Update{}, ErrClosed)
		}
	}
}

// readers hands every update to everybody who reads, and waits for nobody.
type readers struct {
	mu     sync.Mutex
	all    map[*reader]struct{} // guarded by mu
	missed uint64               // guarded by mu; updates that slow readers lost
}

// reader is one who reads.
type reader struct {
	queue []Update      // guarded by readers.mu; at most backlog
	wake  chan struct{} // holds one: there may be something in the queue
}

func (rs *readers) add() *reader {
	r := &reader{wake: make(chan struct{}, 1)}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.all[r] = struct{}{}
	return r
}

func (rs *readers) remove(r *reader) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.all, r)
	r.queue = nil
}

// tell puts u into every queue. A full one loses its oldest.
func (rs *readers) tell(u Update) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for r := range rs.all {
		if len(r.queue) == backlog {
			r.queue = r.queue[1:]
			rs.missed++
		}
		r.queue = append(r.queue, u)
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// next waits for an update. It answers false when ctx or done ends the wait;
// what is queued when done ends is still given.
func (rs *readers) next(ctx context.Context, r *reader, done <-chan struct{}) (Update, bool) {
	for ctx.Err() == nil {
		if u, ok := rs.pop(r); ok {
			return u, true
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
		case <-done:
			return rs.pop(r)
		}
	}
	return Update{}, false
}

func (rs *readers) pop(r *reader) (Update, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(r.queue) == 0 {
		return Update{}, false
	}
	u := r.queue[0]
	r.queue = r.queue[1:]
	return u, true
}
