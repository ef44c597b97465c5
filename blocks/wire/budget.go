package wire

import (
	"context"
	"slices"
	"sync"
)

// budget is bytes that may be reserved. Who comes first is served first.
type budget struct {
	mu    sync.Mutex
	free  int64
	queue []*claim
}

type claim struct {
	least, most int64
	got         int64
	ready       chan struct{} // closed once got is set
}

func newBudget(n int64) *budget { return &budget{free: n} }

// share is what a claim gets when it is its turn: half of what is left, within its limits.
func (c *claim) share(free int64) int64 { return min(c.most, max(c.least, free/2)) }

// take reserves least to most bytes, and waits until there are as many as least.
func (b *budget) take(ctx context.Context, least, most int64) (int64, error) {
	c := &claim{least: least, most: most, ready: make(chan struct{})}
	b.mu.Lock()
	b.queue = append(b.queue, c)
	b.serve()
	b.mu.Unlock()
	select {
	case <-c.ready:
		return c.got, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, c); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	} else {
		b.free += c.got
	}
	b.serve()
	return 0, ctx.Err()
}

// try reserves n bytes if nobody waits and they are free.
func (b *budget) try(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 || b.free < n {
		return false
	}
	b.free -= n
	return true
}

// give returns n bytes.
func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	b.serve()
}

func (b *budget) serve() {
	for len(b.queue) > 0 && b.queue[0].least <= b.free {
		c := b.queue[0]
		b.queue = b.queue[1:]
		c.got = c.share(b.free)
		b.free -= c.got
		close(c.ready)
	}
}
