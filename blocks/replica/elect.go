package replica

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// owed is a block that is examined, and what is known of it.
type owed struct {
	appointment
	hash  mh.Multihash
	lease blocks.Lease
	seats []seat
	spare []peer.ID
	has   map[peer.ID]wire.State
}

func (o *owed) state(p peer.ID) (wire.State, bool) {
	st, ok := o.has[p]
	return st, ok
}

// seated reports whether p has a seat, there or lost a moment ago.
func (o *owed) seated(p peer.ID) bool {
	return slices.ContainsFunc(o.seats, func(st seat) bool { return st.peer == p })
}

// rank is how many live seats are closer than p's.
func (o *owed) rank(p peer.ID) (n int) {
	for _, st := range o.seats {
		if st.peer == p {
			break
		}
		if st.alive {
			n++
		}
	}
	return n
}

// look finds the seats of one block. The publisher has none, but as long as it
// lives and nobody closer holds the block it is the one to give it. The caller holds examining.
func (s *Set) look(ctx context.Context, h mh.Multihash, l blocks.Lease) (*owed, error) {
	o, ids, alive, err := s.glance(ctx, h, l)
	if err == nil {
		s.stand(h, l, ids, alive)
	}
	return o, err
}

// glance is look for who does not hold examining: what it sees stands for no other block.
func (s *Set) glance(ctx context.Context, h mh.Multihash, l blocks.Lease) (o *owed, ids []peer.ID, alive []bool, err error) {
	ids, alive, more, err := s.seats(ctx, h, l.Publisher, l.R)
	if err != nil {
		return nil, nil, nil, err
	}
	all, up, err := s.widened(ctx, h, l.R, ids, alive)
	if err != nil {
		return nil, nil, nil, err
	}
	o = &owed{hash: h, lease: l, has: map[peer.ID]wire.State{}}
	d := digestOfHash(h)
	for i, p := range all {
		switch {
		case p == l.Publisher:
		case len(o.seats) < l.R || slices.ContainsFunc(more, func(st seat) bool { return st.peer == p }):
			asked := s.hasRefused(p, d, true)
			o.seats = append(o.seats, seat{peer: p, alive: up[i], full: asked || s.isFull(p), asked: asked})
		case up[i] && p != s.self && !s.isFull(p) && !s.hasRefused(p, d, true):
			o.spare = append(o.spare, p)
		}
	}
	return o, ids, alive, nil
}

// mend does this peer's duty for a batch of blocks.
func (x *examination) mend(ctx context.Context, batch []*owed) error {
	if len(batch) == 0 {
		return nil
	}
	s := x.set
	mine, err := x.elect(ctx, batch)
	if err != nil {
		return err
	}
	// Elected for these: what do all the others have?
	asks := map[peer.ID][]*owed{}
	for _, o := range mine {
		for _, st := range o.seats {
			if _, known := o.has[st.peer]; st.alive && st.peer != s.self && !known {
				asks[st.peer] = append(asks[st.peer], o)
			}
		}
	}
	if err := x.askAll(ctx, asks); err != nil {
		return err
	}
	if err := x.askAll(ctx, standIns(mine)); err != nil {
		return err
	}
	for _, o := range mine {
		s.assign(o)
	}
	return s.shed(ctx, batch)
}

// standIns is who may keep blocks in the place of those that have no room for them.
func standIns(os []*owed) map[peer.ID][]*owed {
	asks := map[peer.ID][]*owed{}
	for _, o := range os {
		gaps := 0
		for _, st := range o.seats {
			if has, ok := o.has[st.peer]; ok && st.alive && st.full && has != wire.Held {
				gaps++
			}
		}
		for _, p := range o.spare[:min(gaps, len(o.spare))] {
			asks[p] = append(asks[p], o)
		}
	}
	return asks
}

// assign makes a task of what this peer owes to one block, now or later.
func (s *Set) assign(o *owed) {
	rule := plan
	if o.backup || s.cfg.Backup < 0 {
		rule = owes
	}
	d := rule(s.self, o.seats, o.spare, min(blocks.Quorum, o.lease.R), o.state)
	for _, st := range o.seats {
		if _, answered := o.has[st.peer]; st.alive && st.peer != s.self && !answered {
			s.retry(o.hash, o.appointment)
			break
		}
	}
	if len(d.give) == 0 {
		s.whole(o.hash)
		return
	}
	since := s.lacks(o.hash, len(d.give))
	if until, on := s.braked(); on && !d.few {
		s.appoint(o.hash, appointment{at: until, seat: o.seat})
		return
	}
	if !d.few { // it may be gone again as fast as it came
		n := len(d.give)
		if d.give = slices.DeleteFunc(d.give, s.isYoung); len(d.give) < n {
			s.appoint(o.hash, appointment{at: time.Now().Add(s.cfg.Young), seat: true})
		}
		if len(d.give) == 0 {
			return
		}
	}
	l := s.calm
	if d.few {
		l = s.urgent
	}
	if !l.push(&task{hash: o.hash, lease: o.lease, to: d.give, live: d.live, few: d.few, since: since, appointment: o.appointment}) {
		s.allUnsure()
	}
}

// elect gives the blocks that no live member closer than this one holds, and those
// whose closest holder has had its time. It asks the closest seat of each block first:
// where that one holds the block, which is the rule, this is all that it costs. If seats
// have changed hands this peer looks again later, its rank times as long, whether
// somebody has done what is to be done.
func (x *examination) elect(ctx context.Context, batch []*owed) (mine []*owed, err error) {
	s := x.set
	open := make([]*owed, 0, len(batch))
	for _, o := range batch {
		if o.backup || s.cfg.Backup < 0 {
			mine = append(mine, o)
		} else {
			open = append(open, o)
		}
	}
	for i := 0; len(open) > 0; i++ {
		asks := map[peer.ID][]*owed{}
		var next []*owed
		for _, o := range open {
			switch {
			case i >= len(o.seats) || o.seats[i].peer == s.self:
				mine = append(mine, o)
			default:
				next = append(next, o)
				if o.seats[i].alive {
					asks[o.seats[i].peer] = append(asks[o.seats[i].peer], o)
				}
			}
		}
		if err := x.askAll(ctx, asks); err != nil {
			return nil, err
		}
		open = nil
		for _, o := range next {
			if o.has[o.seats[i].peer] != wire.Held {
				open = append(open, o)
				continue
			}
			s.whole(o.hash)
			if o.seat || o.live() < min(blocks.Quorum, o.lease.R) {
				wait := s.cfg.Backup * time.Duration(o.rank(s.self))
				s.appoint(o.hash, appointment{at: time.Now().Add(wait + s.jitter(s.cfg.Backup/4)), backup: true})
			}
		}
	}
	return mine, nil
}

// live is how many seats are taken by somebody who is there.
func (o *owed) live() (n int) {
	for _, st := range o.seats {
		if st.alive {
			n++
		}
	}
	return n
}

// askAll asks each peer what it has of its blocks, all peers at once. A peer that
// does not answer leaves no trace: it is neither given to nor relied on, and in this
// examination nobody waits for it again.
func (x *examination) askAll(ctx context.Context, asks map[peer.ID][]*owed) error {
	s := x.set
	var mu sync.Mutex // guards the has of every block, and who is silent
	var g errgroup.Group
	for p, os := range asks {
		mu.Lock()
		silent := x.silent[p]
		mu.Unlock()
		if silent {
			continue
		}
		g.Go(func() error {
			for part := range slices.Chunk(os, wire.Batch) {
				hs := make([]mh.Multihash, len(part))
				for i, o := range part {
					hs[i] = o.hash
				}
				states, err := s.peers.States(ctx, p, hs)
				mu.Lock()
				if err != nil {
					x.silent[p] = true
				} else {
					for i, o := range part {
						o.has[p] = states[i]
					}
				}
				mu.Unlock()
				if err != nil {
					s.stumbled(p, err)
					s.log.Debug("holder did not answer", "peer", p, "err", err)
					return nil
				}
			}
			return nil
		})
	}
	_ = g.Wait()
	return ctx.Err()
}

// isYoung reports whether p came a moment ago, and may be gone as soon.
func (s *Set) isYoung(p peer.ID) bool {
	_, young := s.router.Flagged(p)
	return young
}

// isFull reports whether p says that it has no room, or refused something for that a short while ago.
func (s *Set) isFull(p peer.ID) bool {
	if full, _ := s.router.Flagged(p); full {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.sated[p]
	if ok && time.Since(at) > s.cfg.Every {
		delete(s.sated, p)
		ok = false
	}
	return ok
}
