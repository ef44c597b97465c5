package replica

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// A publisher brings a block to the w closest of its r holders, and the closest of
// those passes it on to the rest:
//
//	publisher ── block ──► 0 (FANOUT) ── block ──► w … r-1
//	          ── block ──► 1 … w-1
//	          ◄─ "w … r-1 have it" ── 0
//	          ── have you? ──► w … r-1          only this counts
//
// What is not confirmed within the linger the publisher brings itself.

var _ wire.Passer = (*Set)(nil)

// The most offers that this peer makes at a time to pass on what it was brought, and
// for how many lingers one that did not pass on is not asked to again.
const (
	passingOn = 16
	muteFor   = 120
)

// preferred orders near, nearest first, with the young behind those that have been up
// for a while, and who says that it is full last: the next closest take their places.
func (s *Set) preferred(near []peer.ID) []peer.ID {
	weight := map[peer.ID]int{}
	for _, p := range near {
		switch full, young := s.router.Flagged(p); {
		case full:
			weight[p] = 2
		case young:
			weight[p] = 1
		}
	}
	out := slices.Clone(near)
	slices.SortStableFunc(out, func(a, b peer.ID) int { return cmp.Compare(weight[a], weight[b]) })
	return out
}

// Pass implements wire.Passer: it brings items to the holders that their sender does
// not serve, one offer to each, and gives up one that takes nothing for the linger.
func (s *Set) Pass(ctx context.Context, _ peer.ID, l blocks.Lease, items []wire.Item, tell func(i int, a wire.Ack)) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.PutIdle)
	defer cancel()
	to := map[peer.ID][]int{}
	for i, it := range items {
		near, more, err := s.holders(ctx, it.Hash, l.Publisher, l.R)
		if err != nil {
			return
		}
		near, n := inOrder(near, more, l.R)
		near = s.preferred(near)
		for _, p := range near[min(cmp.Or(max(it.Served, 0), wire.Served), n):n] {
			if p != s.self {
				to[p] = append(to[p], i)
			}
		}
	}
	var wg sync.WaitGroup // ends with the offers, each of which has a deadline
	defer wg.Wait()
	for p, is := range to {
		if s.isSlow(p) {
			for _, i := range is {
				tell(i, wire.Ack{Status: wire.Failed, Peer: p})
			}
			continue
		}
		select {
		case s.passing <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-s.passing }()
			s.passTo(ctx, p, l, items, is, tell)
		})
	}
}

// passTo offers p the items of is, and tells what became of each.
func (s *Set) passTo(ctx context.Context, p peer.ID, l blocks.Lease, items []wire.Item, is []int, tell func(i int, a wire.Ack)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(s.cfg.Linger, cancel)
	defer idle.Stop()
	what, told := make([]wire.Item, len(is)), make([]bool, len(is))
	for k, i := range is {
		what[k] = wire.Item{Hash: items[i].Hash, Size: items[i].Size}
	}
	err := s.offerOnce(ctx, p, l, wire.Fanout, what, func(k int, a wire.Ack) {
		idle.Reset(s.cfg.Linger)
		told[k] = true
		if a.Peer == "" && noRoom(a.Status) {
			s.refusedBy(p, digestOfHash(what[k].Hash), true)
		}
		tell(is[k], wire.Ack{Status: a.Status, Peer: p})
	})
	if err == nil {
		return
	}
	s.stumbled(p, err)
	s.log.Debug("blocks not passed on", "peer", p, "blocks", len(is), "err", err)
	for k, done := range told {
		if !done {
			tell(is[k], wire.Ack{Status: wire.Failed, Peer: p})
		}
	}
}

// mutes notes that p did not pass on what it was brought to pass on.
func (s *Set) mutes(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute[p] = time.Now()
}

// passesOn reports whether p may be expected to pass blocks on.
func (s *Set) passesOn(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.mute[p]
	if ok && time.Since(at) > muteFor*s.cfg.Linger {
		delete(s.mute, p)
		ok = false
	}
	return !ok
}

// relay is what the holder of one delivery says that others have. Nothing of it counts
// before they have confirmed it.
type relay struct {
	wake chan struct{} // 1-buffered
	mu   sync.Mutex
	said map[peer.ID][]*parcel // guarded by mu: not asked about yet
	over bool                  // guarded by mu: it says no more
}

func newRelay() *relay {
	return &relay{wake: make(chan struct{}, 1), said: map[peer.ID][]*parcel{}}
}

func (r *relay) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *relay) end() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.nudge()
}

// take takes all that was said; more is false when that was the last.
func (r *relay) take() (said map[peer.ID][]*parcel, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	said, r.said = r.said, map[peer.ID][]*parcel{}
	return said, !r.over || len(said) > 0
}

// gathering is how long relayed answers are waited for, to ask about them together.
const gathering = 5 * time.Millisecond

// confirms asks those of whom d's holder says that they have blocks, each about all
// that was said meanwhile, until d has ended and all is asked.
func (g *group) confirms(ctx context.Context, d *delivery) {
	for {
		said, more := d.relay.take()
		if !more {
			return
		}
		if len(said) == 0 {
			<-d.relay.wake // comes with the end of the offer
			time.Sleep(gathering)
			continue
		}
		var wg sync.WaitGroup // ends with the questions, each of which has a deadline
		for p, ps := range said {
			wg.Go(func() { g.confirm(ctx, d, p, ps) })
		}
		wg.Wait()
	}
}

// confirm asks p whether it holds ps, as d's holder says.
func (g *group) confirm(ctx context.Context, d *delivery, p peer.ID, ps []*parcel) {
	ctx, cancel := context.WithTimeout(ctx, g.set.cfg.Linger)
	defer cancel()
	hs := make([]mh.Multihash, len(ps))
	for i, a := range ps {
		hs[i] = a.hash
	}
	states, err := g.set.peers.States(ctx, p, hs)
	if err != nil {
		g.set.log.Debug("relayed answers not confirmed", "peer", p, "by", d.to, "err", err)
		states = make([]wire.State, len(ps))
	}
	for i, a := range ps {
		if states[i] == wire.Held {
			g.confirmed(d, a, p)
		} else {
			g.denied(a, p, true, errors.New("replica: it does not hold what "+d.to.String()+" says it does"))
		}
	}
}

// relayed notes what d's holder says of another's part in parcel a. It is called by
// the goroutine that reads d's stream, and waits for nothing.
func (g *group) relayed(d *delivery, a *parcel, said wire.Ack) {
	g.mu.Lock()
	due := slices.Contains(a.await, said.Peer)
	g.mu.Unlock()
	switch {
	case !due: // of somebody else's, or said before
	case said.Err != nil:
		g.denied(a, said.Peer, false, said.Err)
	default:
		d.relay.mu.Lock()
		if !slices.Contains(d.relay.said[said.Peer], a) {
			d.relay.said[said.Peer] = append(d.relay.said[said.Peer], a)
		}
		d.relay.mu.Unlock()
		d.relay.nudge()
	}
}

// confirmed notes that p holds a, which it said itself.
func (g *group) confirmed(d *delivery, a *parcel, p peer.ID) {
	g.mu.Lock()
	i := slices.Index(a.await, p)
	if i >= 0 {
		a.await = slices.Delete(a.await, i, i+1)
		d.touched, d.relayed = time.Now(), true
	}
	g.mu.Unlock()
	if i >= 0 {
		g.acked(a, p)
	}
}

// denied notes that p does not get a from who was to pass it on: this peer brings it to
// p first, or to others before p.
func (g *group) denied(a *parcel, p peer.ID, first bool, err error) {
	g.mu.Lock()
	i := slices.Index(a.await, p)
	if i >= 0 {
		a.await = slices.Delete(a.await, i, i+1)
		if first {
			a.next = append([]peer.ID{p}, a.next...)
		} else {
			a.next = append(a.next, p)
		}
		a.miss++
		g.again = append(g.again, a)
	}
	g.mu.Unlock()
	if i >= 0 {
		g.job.failed(p, err)
		g.nudge()
	}
}

// silentLocked takes back the blocks of every delivery whose holder has been silent for the
// linger and was to pass them on. It answers when to look again; 0 is not.
func (g *group) silentLocked() (next time.Duration) {
	for d := range g.open {
		if d.relay == nil || d.sending > 0 || !slices.ContainsFunc(d.what, (*parcel).waits) {
			continue
		}
		wait := g.set.cfg.Linger - time.Since(d.touched)
		if wait > 0 {
			if next == 0 || wait < next {
				next = wait
			}
			continue
		}
		if !d.relayed {
			g.set.mutes(d.to)
		}
		if !slices.Contains(d.ended, true) {
			g.set.stumbled(d.to, context.DeadlineExceeded)
		}
		g.set.log.Debug("blocks were not passed on", "peer", d.to)
		for i, p := range d.what {
			if d.fan[i] {
				g.takeBackLocked(p)
			}
		}
		if d.ownLocked() {
			d.cancel()
		}
	}
	return next
}

// lending lends the blocks of d out of the store, and notes when they are on their way.
type lending struct {
	g *group
	d *delivery
}

func (l lending) View(ctx context.Context, h mh.Multihash, f func([]byte) error) error {
	l.moved(1)
	defer l.moved(-1)
	return l.g.set.store.View(ctx, h, f)
}

func (l lending) moved(n int) {
	l.g.mu.Lock()
	l.d.sending += n
	if l.d.relay != nil {
		l.d.touched = time.Now()
	}
	again := n < 0 && l.d.relay != nil
	l.g.mu.Unlock()
	if again { // from here on its silence counts
		l.g.nudge()
	}
}

// takeBackLocked makes it this peer's again to bring p to those it was to be passed on to.
func (g *group) takeBackLocked(p *parcel) {
	if len(p.await) == 0 {
		return
	}
	p.miss += len(p.await)
	p.next = append(p.await, p.next...)
	p.await = nil
	g.again = append(g.again, p)
}

// ownLocked reports whether d's holder has answered for itself.
func (d *delivery) ownLocked() bool { return !slices.Contains(d.ended, false) }

// waits reports whether others are to get p from its closest holder.
func (p *parcel) waits() bool { return len(p.await) > 0 }
