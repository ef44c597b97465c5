package replica

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
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
	s.mu.Lock()
	rng := rand.New(rand.NewPCG(s.cfg.Rand.Uint64(), s.cfg.Rand.Uint64()))
	s.mu.Unlock()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.placing(ctx) })
	g.Go(func() error { return s.repairing(ctx) })
	g.Go(func() error { return s.carrying(ctx, s.urgent) })
	g.Go(func() error { return s.carrying(ctx, s.calm) })
	g.Go(func() error { return s.syncing(ctx) })
	g.Go(func() error { return s.watching(ctx, rng) })
	g.Go(func() error { return s.handing(ctx) })
	return g.Wait()
}

// repairing waits for the warm-up, takes up the puts that were cut short, and then
// goes its rounds: at their time, a while after members came or went, and whenever a
// block has a time of its own.
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
		for regular := time.Now().Add(s.cfg.Every/2 + s.jitter(s.cfg.Every)); ; {
			wake := time.NewTimer(time.Until(s.nextDue(regular)))
			changed := false
			select {
			case <-wake.C:
			case <-s.stir:
				wake.Stop()
				continue
			case <-s.router.Changed():
				changed = true
			case <-ctx.Done():
			}
			wake.Stop()
			if changed && !sleep(ctx, s.cfg.AfterChange) || ctx.Err() != nil {
				return nil
			}
			if !s.cfg.NoRepair {
				if err := s.round(ctx); err != nil && ctx.Err() == nil {
					s.log.Warn("repair cut short", "err", err)
				}
			}
			if changed || !time.Now().Before(regular) {
				break
			}
		}
	}
}

// resume queues the placements whose journal is open.
func (s *Set) resume(ctx context.Context) error {
	open := map[blocks.LeaseID]bool{}
	for pin, err := range s.ledger.Pins(ctx) {
		if err != nil {
			return fmt.Errorf("replica: journal: %w", err)
		}
		if !pin.Pending {
			continue
		}
		open[pin.Lease] = true
		h, ls := pin.Root.Hash(), []blocks.Lease(nil)
		if ls, err = s.ledger.Leases(ctx, h); err != nil {
			return fmt.Errorf("replica: journal: %w", err)
		}
		for _, l := range blocks.Standing(ls, time.Now()) {
			if l.ID() == pin.Lease {
				s.enqueue(l, pin, 0, true)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.rested, func(id blocks.LeaseID, _ *blocks.Job) bool { return !open[id] })
	return nil
}

// Repair looks at every block held here, and returns when what it found to be given is
// given, put off, or another call's.
func (s *Set) Repair(ctx context.Context) error {
	s.examining.Lock()
	defer s.examining.Unlock()
	s.feel(ctx)
	if err := s.examine(ctx, s.begin(), change{}, true); err != nil {
		return err
	}
	for _, l := range []*lane{s.urgent, s.calm} {
		for ts := l.pop(groupBlocks); len(ts) > 0; ts = l.pop(groupBlocks) {
			s.carry(ctx, l, ts)
		}
	}
	return ctx.Err()
}

// round examines the blocks whose holders are not those of the round before, and those
// whose time has come; now and then all. Where nobody came or went it asks nobody.
func (s *Set) round(ctx context.Context) error {
	s.examining.Lock()
	defer s.examining.Unlock()
	s.feel(ctx)
	c, err := s.changes(ctx)
	if err != nil {
		return err
	}
	if len(c.moved) > 0 {
		s.log.Debug("holders changed", "came", c.came, "went", c.went, "turned", c.turned)
	}
	x := s.begin()
	if all := s.fullDue(); all || len(c.moved) > 0 {
		if err := s.examine(ctx, x, c, all); err != nil {
			return err
		}
	}
	for h, a := range s.takeDue(time.Now()) {
		ls, err := s.ledger.Leases(ctx, mh.Multihash(h))
		if err != nil {
			s.allUnsure()
			return fmt.Errorf("replica: examine: %w", err)
		}
		l, ok := s.governs(ls)
		if !ok {
			s.whole(mh.Multihash(h))
			continue
		}
		if err := x.add(ctx, mh.Multihash(h), l, a); err != nil {
			s.allUnsure()
			return err
		}
	}
	return x.end(ctx)
}

// fullDue reports whether every block is to be looked at.
func (s *Set) fullDue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsure || s.lastFull.IsZero() || time.Since(s.lastFull) >= s.cfg.Full
}

// examine examines the blocks that c touches, or all of them; then those that stand for
// the others are found anew.
func (s *Set) examine(ctx context.Context, x *examination, c change, all bool) error {
	if all {
		s.mu.Lock()
		s.unsure = false
		s.mu.Unlock()
		s.lastFull, s.groups = time.Now(), map[string]*witness{}
	}
	err := s.walk(ctx, func(h mh.Multihash, l blocks.Lease) error {
		how, seat := c.touches(keyspace.OfHash(h), l.R)
		if how == untouched && !all {
			return nil
		}
		return x.add(ctx, h, l, appointment{seat: seat, far: how != near && !all})
	})
	if err = errors.Join(err, x.end(ctx)); err != nil {
		s.allUnsure()
	}
	return err
}

// walk calls f with each block held here and the lease that decides over it.
func (s *Set) walk(ctx context.Context, f func(mh.Multihash, blocks.Lease) error) error {
	for held, err := range s.ledger.Held(ctx) {
		if err != nil {
			return fmt.Errorf("replica: walk: %w", err)
		}
		if l, ok := s.governs(held.Leases); ok {
			if err := f(held.Hash, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// governs picks the lease by which a block is repaired: false when all have run out, so
// that it may be forgotten, or it is being placed, which is another story's.
func (s *Set) governs(ls []blocks.Lease) (blocks.Lease, bool) {
	l, ok := blocks.Governing(blocks.Standing(ls, time.Now()))
	if !ok {
		return l, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, placing := s.jobs[l.ID()]
	return l, !placing
}

// batch is how many blocks are examined together: enough for whole batches of
// questions, few enough for a bounded memory.
const batch = 2 * wire.Batch

// examination is some blocks on their way to being examined.
type examination struct {
	set    *Set
	open   []*owed
	silent map[peer.ID]bool // who did not answer: nobody waits for it again in this round
}

func (s *Set) begin() *examination { return &examination{set: s, silent: map[peer.ID]bool{}} }

// add looks at one block, and examines those gathered when there are enough.
func (x *examination) add(ctx context.Context, h mh.Multihash, l blocks.Lease, a appointment) error {
	o, err := x.set.look(ctx, h, l)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil { // one key that cannot be looked up does not starve the others
		x.set.log.Debug("block not looked at", "key", h.B58String(), "err", err)
		x.set.retry(h, a)
		return nil
	}
	if a.far && o.live() >= min(blocks.Quorum, l.R) {
		return nil
	}
	o.appointment = a
	if x.open = append(x.open, o); len(x.open) == batch {
		return x.end(ctx)
	}
	return nil
}

// end examines what is left.
func (x *examination) end(ctx context.Context) error {
	open := x.open
	x.open = nil
	return x.mend(ctx, open)
}

// jitter is a time of less than d.
func (s *Set) jitter(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.cfg.Rand.Int64N(int64(max(d, 1))))
}
