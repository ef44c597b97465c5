package pubsub

import (
	"context"
	"iter"
	"sync"
)

// backlog is how many updates wait for one reader, and waiting how many bytes of what has a size.
const (
	backlog = 256
	waiting = 1 << 20
)

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
type readers[T any] struct {
	size func(T) int // bytes that one takes; nil: they are not counted

	mu     sync.Mutex
	all    map[*reader[T]]struct{} // guarded by mu
	missed uint64                  // guarded by mu; updates that slow readers lost
}

// reader is one who reads.
type reader[T any] struct {
	queue []T           // guarded by readers.mu; at most backlog
	bytes int           // guarded by readers.mu: of the queue, at most waiting
	wake  chan struct{} // holds one: there may be something in the queue
}

func newReaders[T any](size func(T) int) *readers[T] {
	if size == nil {
		size = func(T) int { return 0 }
	}
	return &readers[T]{size: size, all: map[*reader[T]]struct{}{}}
}

func (rs *readers[T]) add() *reader[T] {
	r := &reader[T]{wake: make(chan struct{}, 1)}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.all[r] = struct{}{}
	return r
}

func (rs *readers[T]) remove(r *reader[T]) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.all, r)
	r.queue, r.bytes = nil, 0
}

// lost is how many updates slow readers lost.
func (rs *readers[T]) lost() uint64 {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.missed
}

// tell puts u into every queue. A full one loses its oldest.
func (rs *readers[T]) tell(u T) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	size := rs.size(u)
	for r := range rs.all {
		for len(r.queue) == backlog || len(r.queue) > 0 && r.bytes+size > waiting {
			rs.firstLocked(r)
			rs.missed++
		}
		r.queue, r.bytes = append(r.queue, u), r.bytes+size
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// next waits for an update. It answers false when ctx or done ends the wait;
// what is queued when done ends is still given.
func (rs *readers[T]) next(ctx context.Context, r *reader[T], done <-chan struct{}) (u T, ok bool) {
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
	return u, false
}

func (rs *readers[T]) pop(r *reader[T]) (u T, ok bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(r.queue) == 0 {
		return u, false
	}
	return rs.firstLocked(r), true
}

// firstLocked takes the oldest out of the queue of r, which has one.
func (rs *readers[T]) firstLocked(r *reader[T]) T {
	u := r.queue[0]
	r.queue, r.bytes = r.queue[1:], r.bytes-rs.size(u)
	return u
}
