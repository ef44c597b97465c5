package replica

import (
	"cmp"
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// task is a block that some peers lack and that this one is to give them.
type task struct {
	appointment
	hash  mh.Multihash
	lease blocks.Lease
	to    []peer.ID
	live  int       // copies that there are
	few   bool      // that is too few
	since time.Time // when it was found to lack some
}

// laneAt is how many batches of a lane are on their way at a time: one peer that
// hangs holds up its own.
const laneAt = 4

// lane is the tasks of one urgency, those with the fewest copies first, the oldest of
// these first.
type lane struct {
	wake   chan struct{} // 1-buffered: there is something
	bucket bucket

	mu    sync.Mutex
	tasks tasks           // guarded by mu
	known map[string]bool // guarded by mu: the blocks of tasks waiting or under way
}

func newLane(rate int64) *lane {
	return &lane{wake: make(chan struct{}, 1), bucket: bucket{rate: rate}, known: map[string]bool{}}
}

// push adds t, unless there is one for its block; false is that there is no room.
func (l *lane) push(t *task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[string(t.hash)] {
		return true
	}
	if len(l.tasks) >= maxNoted {
		return false
	}
	l.known[string(t.hash)] = true
	heap.Push(&l.tasks, t)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return true
}

// claim takes t for the caller to carry out; false: somebody is at its block already.
func (l *lane) claim(t *task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[string(t.hash)] {
		return false
	}
	l.known[string(t.hash)] = true
	return true
}

// pop takes up to n tasks out; each is known until done.
func (l *lane) pop(n int) (ts []*task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.tasks) > 0 && len(ts) < n {
		ts = append(ts, heap.Pop(&l.tasks).(*task)) //nolint:forcetypeassert // it holds nothing else
	}
	return ts
}

func (l *lane) done(t *task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, string(t.hash))
}

func (l *lane) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.tasks)
}

// tasks is a heap.
type tasks []*task

func (ts tasks) Len() int      { return len(ts) }
func (ts tasks) Swap(i, j int) { ts[i], ts[j] = ts[j], ts[i] }
func (ts tasks) Less(i, j int) bool {
	a, b := ts[i], ts[j]
	return cmp.Or(cmp.Compare(a.live, b.live), a.since.Compare(b.since), cmp.Compare(string(a.hash), string(b.hash))) < 0
}

// Push implements heap.Interface.
func (ts *tasks) Push(t any) { *ts = append(*ts, t.(*task)) } //nolint:forcetypeassert // it holds nothing else

// Pop implements heap.Interface.
func (ts *tasks) Pop() any {
	last := len(*ts) - 1
	t := (*ts)[last]
	(*ts)[last] = nil
	*ts = (*ts)[:last]
	return t
}

// bucket lets through rate bytes a second, with a second's worth at once; who takes
// more than there is is let through, and the next one waits for it.
type bucket struct {
	rate int64 // less than 0: no limit

	mu   sync.Mutex
	left float64   // guarded by mu: bytes, less than 0 when they are owed
	at   time.Time // guarded by mu: when left was right; zero: it is full
}

// take waits for n bytes.
func (b *bucket) take(ctx context.Context, n int64) bool {
	for b.rate >= 0 {
		wait := b.try(n)
		if wait == 0 {
			break
		}
		if !sleep(ctx, wait) {
			return false
		}
	}
	return ctx.Err() == nil
}

func (b *bucket) try(n int64) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, rate := time.Now(), float64(b.rate)
	if b.at.IsZero() {
		b.left = rate
	} else {
		b.left = min(rate, b.left+now.Sub(b.at).Seconds()*rate)
	}
	b.at = now
	if b.left <= 0 {
		return time.Duration((1-b.left)/rate*float64(time.Second)) + time.Millisecond
	}
	b.left -= float64(n)
	return 0
}

// giveBack returns n bytes that were not needed.
func (b *bucket) giveBack(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += float64(n)
}

// carrying carries out the tasks of l until ctx is done.
func (s *Set) carrying(ctx context.Context, l *lane) error {
	var g errgroup.Group
	g.SetLimit(laneAt)
	for {
		ts := l.pop(groupBlocks)
		if len(ts) > 0 {
			g.Go(func() error { s.carry(ctx, l, ts); return nil })
			continue
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return g.Wait()
		}
	}
}

// gift is a block on its way to a peer that lacks it.
type gift struct {
	*task
	size int
	done bool // it has it
}

// carry gives the blocks of ts to those who lack them, and has those that were not
// taken examined again.
func (s *Set) carry(ctx context.Context, l *lane, ts []*task) {
	var open []*gift
	offers := map[peer.ID]map[blocks.LeaseID][]*gift{}
	until, braked := s.braked()
	for _, t := range ts {
		if braked && !t.few {
			s.appoint(t.hash, appointment{at: until, seat: t.seat})
			l.done(t)
			continue
		}
		n, err := s.store.Size(ctx, t.hash)
		if ctx.Err() != nil { // this peer stops, which says nothing of the block
			l.done(t)
			continue
		}
		if err != nil {
			s.log.Error("held block cannot be read", "key", t.hash.B58String(), "err", err)
			s.whole(t.hash) // it is not for this peer to give
			l.done(t)
			continue
		}
		for _, p := range t.to {
			g := &gift{task: t, size: n}
			open = append(open, g)
			if offers[p] == nil {
				offers[p] = map[blocks.LeaseID][]*gift{}
			}
			offers[p][t.lease.ID()] = append(offers[p][t.lease.ID()], g)
		}
	}
	var wg sync.WaitGroup // ends with the offers, each of which has its patience
	for p, byLease := range offers {
		wg.Go(func() {
			for _, gs := range byLease {
				for len(gs) > 0 && ctx.Err() == nil {
					n := l.share(gs)
					s.give(ctx, l, p, gs[:n])
					s.giveRights(ctx, p, gs[:n])
					gs = gs[n:]
				}
			}
		})
	}
	wg.Wait()
	failed := map[*task]bool{}
	for _, g := range open {
		failed[g.task] = failed[g.task] || !g.done
	}
	for t, again := range failed {
		l.done(t)
		if again {
			s.retry(t.hash, t.appointment)
			continue
		}
		s.whole(t.hash)
		s.cfg.Restored(time.Since(t.since))
	}
}

// share is how many of gs go together: no more than a second's worth.
func (l *lane) share(gs []*gift) int {
	limit := int64(groupBytes)
	if l.bucket.rate >= 0 {
		limit = min(limit, l.bucket.rate)
	}
	for i, g := range gs {
		if limit -= int64(g.size); limit < 0 {
			return max(i, 1)
		}
	}
	return len(gs)
}

// give brings p blocks of one lease that it lacks.
func (s *Set) give(ctx context.Context, l *lane, p peer.ID, gs []*gift) {
	if s.isSlow(p) {
		return
	}
	var sum, sent int64
	items := make([]wire.Item, len(gs))
	for i, g := range gs {
		items[i] = wire.Item{Hash: g.hash, Size: g.size, Urgent: g.few}
		sum += int64(g.size)
	}
	if !l.bucket.take(ctx, sum) {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(s.cfg.PutIdle, cancel)
	defer idle.Stop()
	err := s.offerOnce(ctx, p, gs[0].lease, wire.Repair, items, func(i int, a wire.Ack) {
		idle.Reset(s.cfg.PutIdle)
		g := gs[i]
		switch {
		case a.Peer != "":
		case a.Status == wire.Have: // somebody else was faster
			g.done = true
			s.hand.tookIt(p, digestOfHash(g.hash))
		case a.Status == wire.Stored:
			g.done = true
			s.hand.tookIt(p, digestOfHash(g.hash))
			sent += int64(g.size)
			s.mended(int64(g.size))
			s.log.Info("copy restored", "root", g.lease.Root, "key", g.hash.B58String(), "peer", p, "urgent", g.few)
		default:
			s.log.Debug("holder did not take a block", "peer", p, "key", g.hash.B58String(), "err", a.Err)
			if a.Status == wire.Full {
				s.mu.Lock()
				s.sated[p] = time.Now()
				s.mu.Unlock()
			}
			if noRoom(a.Status) {
				s.refusedBy(p, digestOfHash(g.hash), true)
			}
		}
	})
	l.bucket.giveBack(sum - sent)
	if err != nil {
		s.stumbled(p, err)
		s.log.Debug("holder did not take blocks", "peer", p, "err", err)
	}
}
