package replica

import (
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

// The most blocks and bytes that are offered to a holder together.
const (
	groupBlocks = 128
	groupBytes  = 32 << 20
	groupsOfJob = 4 // at a time
)

// parcel is a block on its way to its holders.
type parcel struct {
	hash  mh.Multihash
	size  int
	need  int       // copies with which it is safe
	fan   bool      // it goes to some of its holders, and from the closest to the others
	next  []peer.ID // guarded by group.mu: who is offered it if another one fails, nearest first
	miss  int       // guarded by group.mu: copies that are missing and that nobody is being offered
	await []peer.ID // guarded by group.mu: who is to get it from the closest
	safe  time.Time // guarded by group.mu: since when; zero: it is not
}

// group is some blocks of one job, brought to their holders together: one offer to each
// holder, and for what it does not take one to the next closest.
type group struct {
	set     *Set
	job     *Job
	parcels []*parcel

	ends chan *delivery
	look chan struct{} // 1-buffered: a parcel became safe, or is to be delivered again
	open map[*delivery]struct{}

	mu    sync.Mutex
	again []*parcel // guarded by mu: to be delivered again
}

// delivery is one offer to one holder.
type delivery struct {
	to     peer.ID
	what   []*parcel
	fan    []bool // it is to pass this one on
	relay  *relay // what it says of others; nil: it is to pass on nothing
	cancel context.CancelFunc
	err    error // of the offer; set when it has ended

	ended   []bool    // guarded by group.mu: it has answered
	acked   []bool    // guarded by group.mu
	broken  []bool    // guarded by group.mu: cannot be read here
	relayed bool      // guarded by group.mu: it has passed on something
	sending int       // guarded by group.mu: blocks on the way to it; the wire sees to it that they move
	touched time.Time // guarded by group.mu: the last ack, or end of a block sent
	late    bool      // guarded by group.mu: it was given up
}

// place brings hs to their holders each, and to the next closest for each that fails.
func (s *Set) place(ctx context.Context, j *Job, hs []mh.Multihash) error {
	g := &group{set: s, job: j, ends: make(chan *delivery), look: make(chan struct{}, 1), open: map[*delivery]struct{}{}}
	for _, h := range hs {
		if p := g.parcel(ctx, h); p != nil {
			g.parcels = append(g.parcels, p)
		}
	}
	g.deliver(ctx, g.parcels)
	linger := time.NewTimer(0)
	defer linger.Stop()
	<-linger.C
	armed := false
	for len(g.open) > 0 {
		select {
		case d := <-g.ends:
			delete(g.open, d)
			g.left(ctx, d)
		case <-g.look:
		case <-linger.C:
			armed = false
		}
		next := g.hurry()
		g.deliver(ctx, g.spilled(ctx))
		if next > 0 && !armed {
			linger.Reset(next)
			armed = true
		}
	}
	return ctx.Err()
}

// parcel finds where h has to go; nil is nowhere, for now.
func (g *group) parcel(ctx context.Context, h mh.Multihash) *parcel {
	s, j := g.set, g.job
	near, more, err := s.holders(ctx, h, j.lease.Publisher, j.lease.R)
	if err != nil {
		j.note(h, nil, 0)
		j.failed("", err)
		return nil // nobody is there; the next pass asks again
	}
	members := min(len(near), 2*j.lease.R)
	near, n := inOrder(near, more, j.lease.R)
	have := j.note(h, near, members)
	p := &parcel{hash: h, miss: n - have, need: min(blocks.Quorum, j.lease.R, members)}
	if p.miss <= 0 {
		return nil
	}
	if p.size, err = s.store.Size(ctx, h); ctx.Err() != nil {
		return nil
	} else if err != nil {
		j.failed("", err)
		s.log.Error("block to be placed cannot be read", "key", h.B58String(), "err", err)
		return nil
	}
	near = s.preferred(near)
	for _, q := range s.slowLast(near) {
		if !j.has(h, q) {
			p.next = append(p.next, q)
		}
	}
	// What some have already, and what does not go where everybody expects it, this
	// peer brings itself: it alone knows what is missing.
	p.fan = have == 0 && j.fanout < p.miss && s.passesOn(near[0]) && slices.Equal(near[:p.miss], p.next[:p.miss])
	return p
}

// deliver offers each of ps to as many of its next holders as it lacks copies.
func (g *group) deliver(ctx context.Context, ps []*parcel) {
	to := map[peer.ID]*delivery{}
	g.mu.Lock()
	for _, p := range ps {
		p.next = g.set.slowLast(p.next)
		fan := p.fan
		if p.fan = false; fan {
			w := g.job.fanout
			p.await = slices.Clone(p.next[w:p.miss])
			p.next, p.miss = slices.Concat(p.next[:w], p.next[p.miss:]), w
		}
		for ; p.miss > 0 && len(p.next) > 0; p.miss-- {
			q := p.next[0]
			p.next = p.next[1:]
			d := to[q]
			if d == nil {
				d = &delivery{to: q, touched: time.Now()}
				to[q] = d
			}
			if fan && d.relay == nil {
				d.relay = newRelay()
			}
			d.what, d.fan = append(d.what, p), append(d.fan, fan)
			fan = false // the closest alone
		}
	}
	for _, d := range to {
		g.open[d] = struct{}{}
		n := len(d.what)
		d.ended, d.acked, d.broken = make([]bool, n), make([]bool, n), make([]bool, n)
	}
	g.mu.Unlock()
	for _, d := range to {
		var own context.Context
		own, d.cancel = context.WithCancel(ctx)
		go func() { // ends with its offer and what is to be confirmed; place waits for it on ends
			defer d.cancel()
			var asking sync.WaitGroup
			if d.relay != nil {
				asking.Go(func() { g.confirms(ctx, d) })
			}
			d.err = g.offer(own, d)
			if d.relay != nil {
				d.relay.end()
			}
			asking.Wait()
			g.ends <- d
		}()
	}
}

// spilled takes what is to be delivered again.
func (g *group) spilled(ctx context.Context) (ps []*parcel) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.again {
		if ctx.Err() == nil && !slices.Contains(ps, p) {
			ps = append(ps, p)
		}
	}
	g.again = nil
	return ps
}

func (g *group) nudge() {
	select {
	case g.look <- struct{}{}:
	default:
	}
}

func (g *group) offer(ctx context.Context, d *delivery) error {
	items := make([]wire.Item, len(d.what))
	for i, p := range d.what {
		if items[i] = (wire.Item{Hash: p.hash, Size: p.size}); d.fan[i] {
			items[i].Fanout, items[i].Served = true, g.job.fanout
		}
	}
	return g.set.peers.Offer(ctx, d.to, g.job.lease, wire.Put, items, lending{g, d}, func(i int, a wire.Ack) {
		switch {
		case a.Peer == "":
			g.told(d, i, a)
		case d.fan[i]:
			g.relayed(d, d.what[i], a)
		}
	})
}

// acked notes that q has p on its disk.
func (g *group) acked(p *parcel, q peer.ID) {
	have := g.job.ack(p.hash, q)
	g.mu.Lock()
	became := have >= p.need && p.safe.IsZero()
	if became {
		p.safe = time.Now()
	}
	g.mu.Unlock()
	if became { // the slow ones may hold up the others no longer
		g.nudge()
	}
}

// told notes what became of one block.
func (g *group) told(d *delivery, i int, a wire.Ack) {
	var no *wire.Refusal
	g.mu.Lock()
	d.ended[i] = true
	if a.Err == nil {
		d.acked[i], d.touched = true, time.Now()
	} else if d.fan[i] {
		g.takeBackLocked(d.what[i])
	}
	all := d.relay != nil && d.ownLocked()
	g.mu.Unlock()
	if all || a.Err != nil && d.fan[i] { // what it was to pass on has to be looked after
		g.nudge()
	}
	switch p := d.what[i]; {
	case a.Err == nil:
		g.acked(p, d.to)
	case errors.As(a.Err, &no):
		g.job.failed(d.to, a.Err)
		g.set.log.Debug("holder did not take a block", "peer", d.to, "err", a.Err)
	default:
		g.mu.Lock()
		d.broken[i] = true
		g.mu.Unlock()
		g.job.failed("", a.Err)
		g.set.log.Error("block to be placed cannot be read", "key", p.hash.B58String(), "err", a.Err)
	}
}

// left finds the blocks that d did not bring and that somebody else is to have now. Of
// what is safe, what a slow holder did not take in time is the next pass's.
func (g *group) left(ctx context.Context, d *delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d.err != nil && !d.ownLocked() {
		g.set.stumbled(d.to, d.err)
		g.job.failed(d.to, d.err)
		g.set.log.Debug("holder did not take blocks", "peer", d.to, "blocks", len(d.what), "err", d.err)
	}
	for i, p := range d.what {
		late := d.late && !p.safe.IsZero()
		if !d.acked[i] && !d.broken[i] && !late && ctx.Err() == nil {
			p.miss++
			g.again = append(g.again, p)
		}
		if d.fan[i] { // whatever it was to pass on and did not
			g.takeBackLocked(p)
		}
	}
}

// hurry gives up holders that have brought nothing for the linger while blocks they were
// offered are safe without them. It answers when to look again; 0 is not.
func (g *group) hurry() (next time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next = g.silentLocked()
	for d := range g.open {
		for i, p := range d.what {
			if d.acked[i] || p.safe.IsZero() {
				continue
			}
			since := p.safe
			if d.touched.After(since) {
				since = d.touched
			}
			wait := g.set.cfg.Linger - time.Since(since)
			if wait <= 0 {
				d.late = true
				d.cancel()
				break
			}
			if next == 0 || wait < next {
				next = wait
			}
		}
	}
	return next
}
