package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// Run places what is queued and repairs what is held, until ctx is done.
func (s *Set) Run(ctx context.Context) error {
	if err := s.weigh(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	rng := rand.New(rand.NewPCG(s.cfg.Rand.Uint64(), s.cfg.Rand.Uint64()))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.placing(ctx) })
	g.Go(func() error { return s.repairing(ctx) })
	g.Go(func() error { return s.watching(ctx, rng) })
	return g.Wait()
}

// repairing waits for the warm-up, takes up the puts that were cut short, and then
// goes its rounds: at their time, and a while after members came or went.
func (s *Set) repairing(ctx context.Context) error {
	select {
	case <-s.router.Ready():
	case <-ctx.Done():
		return nil
	}
	for {
		if err := s.resume(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("puts not taken up", "err", err)
		}
		round := time.NewTimer(s.cfg.Every/2 + time.Duration(s.cfg.Rand.Int64N(int64(s.cfg.Every))))
		select {
		case <-ctx.Done():
			round.Stop()
			return nil
		case <-round.C:
		case <-s.router.Changed():
			round.Stop()
			if !sleep(ctx, s.cfg.AfterChange) {
				return nil
			}
		}
		if s.cfg.NoRepair {
			continue
		}
		if err := s.Repair(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("repair cut short", "err", err)
		}
	}
}

// resume queues the placements whose journal is open.
func (s *Set) resume(ctx context.Context) error {
	for pin, err := range s.ledger.Pins(ctx) {
		if err != nil {
			return fmt.Errorf("replica: journal: %w", err)
		}
		if !pin.Pending {
			continue
		}
		h, ls := pin.Root.Hash(), []blocks.Lease(nil)
		if ls, err = s.ledger.Leases(ctx, h); err != nil {
			return fmt.Errorf("replica: journal: %w", err)
		}
		for _, l := range blocks.Standing(ls, time.Now()) {
			if l.ID() == pin.Lease {
				s.Queue(l, pin)
			}
		}
	}
	return nil
}

// owed is a block of a repair round, and what is known of it.
type owed struct {
	hash  mh.Multihash
	lease blocks.Lease
	seats []seat
	spare []peer.ID
	has   map[peer.ID]wire.State
}

// round is how many blocks a repair round looks at together: enough for whole
// batches of questions, few enough for a bounded memory.
const round = 2 * wire.Batch

// Repair goes through the blocks held here once.
func (s *Set) Repair(ctx context.Context) error {
	var batch []*owed
	for held, err := range s.ledger.Held(ctx) {
		if err != nil {
			return fmt.Errorf("replica: walk: %w", err)
		}
		l, ok := blocks.Governing(blocks.Standing(held.Leases, time.Now()))
		if !ok {
			continue // run out: it may be forgotten, it is not repaired
		}
		o, err := s.look(ctx, held.Hash, l)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // one key that cannot be looked up does not starve the others
			s.log.Debug("block not looked at", "key", held.Hash.B58String(), "err", err)
			continue
		}
		if batch = append(batch, o); len(batch) == round {
			if err := s.mend(ctx, batch); err != nil {
				return err
			}
			batch = nil
		}
	}
	return s.mend(ctx, batch)
}

// look finds the seats of one block. The publisher has none, but as long as it
// lives and nobody closer holds the block it is the one to give it.
func (s *Set) look(ctx context.Context, h mh.Multihash, l blocks.Lease) (*owed, error) {
	ids, alive, err := s.router.Seats(ctx, h, 2*l.R+1)
	if err != nil {
		return nil, err
	}
	o := &owed{hash: h, lease: l, has: map[peer.ID]wire.State{}}
	for i, p := range ids {
		switch {
		case p == l.Publisher:
		case len(o.seats) < l.R:
			o.seats = append(o.seats, seat{p, alive[i]})
		case alive[i] && p != s.self:
			o.spare = append(o.spare, p)
		}
	}
	return o, nil
}

// mend does this peer's duty for a batch of blocks.
func (s *Set) mend(ctx context.Context, batch []*owed) error {
	if len(batch) == 0 {
		return nil
	}
	mine, err := s.elect(ctx, batch)
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
	if err := s.askAll(ctx, asks); err != nil {
		return err
	}
	gifts := map[peer.ID]map[blocks.LeaseID][]gift{}
	for _, o := range mine {
		d := plan(s.self, o.seats, o.spare, min(blocks.Quorum, o.lease.R), o.state)
		if !d.elected {
			continue
		}
		for _, p := range d.give {
			if gifts[p] == nil {
				gifts[p] = map[blocks.LeaseID][]gift{}
			}
			gifts[p][o.lease.ID()] = append(gifts[p][o.lease.ID()], gift{o, d.urgent})
		}
	}
	var g errgroup.Group
	for p, byLease := range gifts {
		select {
		case s.window <- struct{}{}:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), g.Wait())
		}
		g.Go(func() error {
			defer func() { <-s.window }()
			for _, gs := range byLease {
				for part := range slices.Chunk(gs, groupBlocks) {
					s.give(ctx, p, part)
				}
			}
			return nil
		})
	}
	return errors.Join(g.Wait(), ctx.Err())
}

// gift is a block that somebody lacks.
type gift struct {
	*owed
	urgent bool
}

func (o *owed) state(p peer.ID) (wire.State, bool) {
	st, ok := o.has[p]
	return st, ok
}

// elect gives the blocks that no live member closer than this one holds. It asks
// the closest seat of each block first: where that one holds the block, which is
// the rule, this is all that a round costs everybody else.
func (s *Set) elect(ctx context.Context, batch []*owed) (mine []*owed, err error) {
	open := batch
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
		if err := s.askAll(ctx, asks); err != nil {
			return nil, err
		}
		open = nil
		for _, o := range next {
			if o.has[o.seats[i].peer] != wire.Held {
				open = append(open, o)
			}
		}
	}
	return mine, nil
}

// askAll asks each peer what it has of its blocks, all peers at once. A peer that
// does not answer leaves no trace: it is neither given to nor relied on.
func (s *Set) askAll(ctx context.Context, asks map[peer.ID][]*owed) error {
	var mu sync.Mutex // guards the has of every block
	var g errgroup.Group
	for p, os := range asks {
		g.Go(func() error {
			for len(os) > 0 {
				part := os[:min(len(os), wire.Batch)]
				os = os[len(part):]
				hs := make([]mh.Multihash, len(part))
				for i, o := range part {
					hs[i] = o.hash
				}
				states, err := s.peers.States(ctx, p, hs)
				if err != nil {
					s.stumbled(p, err)
					s.log.Debug("holder did not answer", "peer", p, "err", err)
					return nil
				}
				mu.Lock()
				for i, o := range part {
					o.has[p] = states[i]
				}
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait()
	return ctx.Err()
}

// give brings p blocks of one lease that it lacks.
func (s *Set) give(ctx context.Context, p peer.ID, gs []gift) {
	if s.isSlow(p) {
		return // the next round asks again
	}
	items := make([]wire.Item, 0, len(gs))
	what := make([]gift, 0, len(gs))
	for _, o := range gs {
		n, err := s.store.Size(ctx, o.hash)
		if err != nil {
			s.log.Error("held block cannot be read", "key", o.hash.B58String(), "err", err)
			continue
		}
		items = append(items, wire.Item{Hash: o.hash, Size: n, Urgent: o.urgent})
		what = append(what, o)
	}
	if len(items) == 0 {
		return
	}
	err := s.peers.Offer(ctx, p, what[0].lease, wire.Repair, items, s.store, func(i int, a wire.Ack) {
		o := what[i]
		switch {
		case a.Peer != "" || a.Status == wire.Have: // somebody else was faster
		case a.Status != wire.Stored:
			s.log.Debug("holder did not take a block", "peer", p, "key", o.hash.B58String(), "err", a.Err)
		default:
			s.mu.Lock()
			s.copied.Blocks++
			s.copied.Bytes += int64(items[i].Size)
			s.mu.Unlock()
			s.log.Info("copy restored", "root", o.lease.Root, "key", o.hash.B58String(), "peer", p, "urgent", o.urgent)
		}
	})
	if err != nil {
		s.stumbled(p, err)
		s.log.Debug("holder did not take blocks", "peer", p, "err", err)
	}
}
