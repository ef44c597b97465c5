package replica

import (
	"context"
	"errors"
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
	hash mh.Multihash
	size int
	next []peer.ID // who is offered it if another one fails, nearest first
	miss int       // copies that are missing and that nobody is being offered
	need int       // copies with which it is safe
	safe time.Time // guarded by group.mu: since when; zero: it is not
}

// group is some blocks of one job, brought to their holders together: one offer to each
// holder, and for what it does not take one to the next closest.
type group struct {
	set     *Set
	job     *Job
	parcels []*parcel

	ends chan *delivery
	safe chan struct{} // 1-buffered: a parcel became safe
	open map[*delivery]struct{}

	mu sync.Mutex
}

// delivery is one offer to one holder.
type delivery struct {
	to     peer.ID
	what   []*parcel
	cancel context.CancelFunc
	err    error // of the offer; set when it has ended

	acked   []bool    // guarded by group.mu
	broken  []bool    // guarded by group.mu: cannot be read here
	touched time.Time // guarded by group.mu: the last ack
	late    bool      // guarded by group.mu: it was given up
}

// place brings hs to their r holders each, and to the next closest for each that fails.
func (s *Set) place(ctx context.Context, j *Job, hs []mh.Multihash) error {
	g := &group{set: s, job: j, ends: make(chan *delivery), safe: make(chan struct{}, 1), open: map[*delivery]struct{}{}}
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
			g.deliver(ctx, g.left(ctx, d))
		case <-g.safe:
		case <-linger.C:
			armed = false
		}
		if next := g.hurry(); next > 0 && !armed {
			linger.Reset(next)
			armed = true
		}
	}
	return ctx.Err()
}

// parcel finds where h has to go; nil is nowhere, for now.
func (g *group) parcel(ctx context.Context, h mh.Multihash) *parcel {
	s, j := g.set, g.job
	near, err := s.holders(ctx, h, j.lease.Publisher, 2*j.lease.R)
	if err != nil {
		j.note(h, nil, 0)
		j.failed("", err)
		return nil // nobody is there; the next pass asks again
	}
	have := j.note(h, near, len(near))
	p := &parcel{hash: h, miss: min(j.lease.R, len(near)) - have, need: min(blocks.Quorum, j.lease.R, len(near))}
	if p.miss <= 0 {
		return nil
	}
	if p.size, err = s.store.Size(ctx, h); err != nil {
		j.failed("", err)
		s.log.Error("block to be placed cannot be read", "key", h.B58String(), "err", err)
		return nil
	}
	for _, q := range s.slowLast(near) {
		if !j.has(h, q) {
			p.next = append(p.next, q)
		}
	}
	return p
}

// deliver offers each of ps to as many of its next holders as it lacks copies.
func (g *group) deliver(ctx context.Context, ps []*parcel) {
	to := map[peer.ID]*delivery{}
	for _, p := range ps {
		p.next = g.set.slowLast(p.next)
		for ; p.miss > 0 && len(p.next) > 0; p.miss-- {
			q := p.next[0]
			p.next = p.next[1:]
			if to[q] == nil {
				to[q] = &delivery{to: q, touched: time.Now()}
			}
			to[q].what = append(to[q].what, p)
		}
	}
	for _, d := range to {
		g.open[d] = struct{}{}
		d.acked, d.broken = make([]bool, len(d.what)), make([]bool, len(d.what))
		var own context.Context
		own, d.cancel = context.WithCancel(ctx)
		go func() { // ends with its offer; place waits for it on ends
			defer d.cancel()
			d.err = g.offer(own, d)
			g.ends <- d
		}()
	}
}

func (g *group) offer(ctx context.Context, d *delivery) error {
	items := make([]wire.Item, len(d.what))
	for i, p := range d.what {
		items[i] = wire.Item{Hash: p.hash, Size: p.size}
	}
	return g.set.peers.Offer(ctx, d.to, g.job.lease, wire.Put, items, g.set.store, func(i int, a wire.Ack) {
		if a.Peer == "" {
			g.told(d, i, a)
		}
	})
}

// told notes what became of one block.
func (g *group) told(d *delivery, i int, a wire.Ack) {
	var no *wire.Refusal
	switch p := d.what[i]; {
	case a.Err == nil:
		have := g.job.ack(p.hash, d.to)
		g.mu.Lock()
		d.acked[i], d.touched = true, time.Now()
		became := have >= p.need && p.safe.IsZero()
		if became {
			p.safe = time.Now()
		}
		g.mu.Unlock()
		if became { // the slow ones may hold up the others no longer
			select {
			case g.safe <- struct{}{}:
			default:
			}
		}
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

// left gives the blocks that d did not bring and that somebody else is to have now. Of
// what is safe, what a slow holder did not take in time is the next pass's.
func (g *group) left(ctx context.Context, d *delivery) (ps []*parcel) {
	if d.err != nil {
		g.set.stumbled(d.to, d.err)
		g.job.failed(d.to, d.err)
		g.set.log.Debug("holder did not take blocks", "peer", d.to, "blocks", len(d.what), "err", d.err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, p := range d.what {
		late := d.late && !p.safe.IsZero()
		if !d.acked[i] && !d.broken[i] && !late && ctx.Err() == nil {
			p.miss++
			ps = append(ps, p)
		}
	}
	return ps
}

// hurry gives up holders that have brought nothing for the linger while blocks they were
// offered are safe without them. It answers when to look again; 0 is not.
func (g *group) hurry() (next time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
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
