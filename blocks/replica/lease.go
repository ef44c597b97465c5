package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// ValidLease is the [Validator] of leases, standing and revoked.
func ValidLease(key mh.Multihash, value []byte) (seq uint64, expires time.Time, err error) {
	l, err := blocks.ParseLease(value)
	if err == nil {
		err = l.Genuine(time.Now())
	}
	if err == nil && string(l.ID().Key()) != string(key) {
		err = fmt.Errorf("%w: it belongs under another key", blocks.ErrBadLease)
	}
	return l.Seq, l.Expires, err
}

// LeaseRecord is l as a record.
func LeaseRecord(l blocks.Lease) blocks.Record {
	return blocks.Record{Kind: blocks.LeaseRecord, Key: l.ID().Key(), Value: l.Marshal()}
}

// LeaseNews gives the [RecordsConfig.News] that brings a ledger's leases up to date: a
// renewal or a revocation counts here from then on, whoever the record came from. A lease
// that nothing is held under here is left alone.
func LeaseNews(led blocks.Ledger) func(context.Context, blocks.Record) error {
	return func(ctx context.Context, r blocks.Record) error {
		if r.Kind != blocks.LeaseRecord {
			return nil
		}
		l, err := blocks.ParseLease(r.Value)
		if err != nil {
			return fmt.Errorf("replica: lease: %w", err)
		}
		old, ok, err := led.Lease(ctx, l.ID())
		if err != nil || !ok || old.Seq >= l.Seq {
			return err
		}
		return led.Hold(ctx, l)
	}
}

// checkAt is the part of its life after which a lease is looked up, and again at its end.
const checkAt = 0.9

// nextCheck is when a lease that was last looked up at last is looked up again: after
// every, for a revocation; at 90 % of its life and at its end, for a renewal.
func nextCheck(l blocks.Lease, last time.Time, every time.Duration) time.Time {
	next := last.Add(every)
	late := l.Issued.Add(time.Duration(checkAt * float64(l.Expires.Sub(l.Issued))))
	for _, at := range []time.Time{late, l.Expires} {
		if at.After(last) && at.Before(next) {
			next = at
		}
	}
	return next
}

// watching looks for newer leases until ctx is done: one question for each lease, however
// many blocks are held under it.
func (s *Set) watching(ctx context.Context, rng *rand.Rand) error {
	if s.cfg.Records == nil {
		return nil
	}
	select {
	case <-s.router.Ready():
	case <-ctx.Done():
		return nil
	}
	next := map[blocks.LeaseID]time.Time{}
	for sleep(ctx, min(s.cfg.LeaseEvery/10, 10*time.Minute)) {
		if err := s.watch(ctx, next, rng); err != nil && ctx.Err() == nil {
			s.log.Warn("leases not looked at", "err", err)
		}
	}
	return nil
}

// watch looks up the leases that are due, and crosses out those that were taken back. next
// says when one is due; one that is new here is due at a random time within the interval, or
// at once when its end is near.
func (s *Set) watch(ctx context.Context, next map[blocks.LeaseID]time.Time, rng *rand.Rand) error {
	known, over, now := map[blocks.LeaseID]blocks.Lease{}, stale{}, time.Now()
	for held, err := range s.ledger.Held(ctx) {
		if err != nil {
			return fmt.Errorf("replica: watch leases: %w", err)
		}
		over.note(held, now)
		for _, l := range held.Leases {
			if l.Publisher != s.self {
				known[l.ID()] = l
			}
		}
	}
	if err := s.crossOut(ctx, over); err != nil {
		return err
	}
	for id := range next {
		if _, ok := known[id]; !ok {
			delete(next, id)
		}
	}
	for id, l := range known {
		due, ok := next[id]
		if !ok {
			since := now.Add(-time.Duration(rng.Int64N(int64(s.cfg.LeaseEvery))))
			due = nextCheck(l, since, s.cfg.LeaseEvery)
			next[id] = due
		}
		if due.After(now) || l.State != blocks.LeaseActive || now.Sub(l.Expires) > s.cfg.LeaseEvery {
			continue // what has run out long ago nobody renews
		}
		if err := s.lookUp(ctx, l); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.log.Debug("lease not looked up", "lease", id, "err", err)
			next[id] = now.Add(s.cfg.LeaseEvery / 10) // what was said meanwhile is not known: soon again
			continue
		}
		if newer, ok, err := s.ledger.Lease(ctx, id); err == nil && ok {
			l = newer
		}
		next[id] = nextCheck(l, now, s.cfg.LeaseEvery)
	}
	return nil
}

// lookUp looks one lease up, and enters what is newer.
func (s *Set) lookUp(ctx context.Context, l blocks.Lease) error {
	value, err := s.cfg.Records.Get(ctx, blocks.LeaseRecord, l.ID().Key())
	if blocks.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	newer, err := blocks.ParseLease(value)
	if err != nil || newer.Seq <= l.Seq {
		return err
	}
	s.log.Info("lease is new", "root", l.Root, "seq", newer.Seq, "expires", newer.Expires, "revoked", newer.State == blocks.LeaseRevoked)
	return s.ledger.Hold(ctx, newer)
}

// Renewed says what became of a lease's new record.
type Renewed struct {
	Lease blocks.Lease
	Written
	Told int // holders that were told at once
}

// Declare makes l, signed by this peer, the word on the blocks held under it here and, by
// one record, everywhere: O(R) messages. [ErrOlder] comes with the lease that the network
// knows, which is later than l: sign one above it.
func (s *Set) Declare(ctx context.Context, l blocks.Lease) (out Renewed, err error) {
	out.Lease = l
	if err := l.Genuine(time.Now()); err != nil {
		return out, fmt.Errorf("replica: declare: %w", err)
	}
	if s.cfg.Records == nil {
		return out, errors.New("replica: declare: records are not kept here")
	}
	var newer []byte
	out.Written, newer, err = s.cfg.Records.Put(ctx, LeaseRecord(l))
	if errors.Is(err, ErrOlder) {
		if out.Lease, err = blocks.ParseLease(newer); err == nil {
			err = ErrOlder
		}
		return out, fmt.Errorf("replica: declare: %w", err)
	}
	if held := s.ledger.Hold(ctx, l); held != nil {
		return out, fmt.Errorf("replica: declare: %w", held)
	}
	if l.State == blocks.LeaseRevoked {
		s.withdraw(l.ID())
		if near, more, err := s.holders(ctx, l.Root.Hash(), s.self, l.R); err == nil {
			near, _ = inOrder(near, more, l.R)
			out.Told = s.cfg.Records.Tell(ctx, LeaseRecord(l), without(near, s.self))
		}
	}
	return out, err
}

// withdraw ends the placement of the lease id.
func (s *Set) withdraw(id blocks.LeaseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[id]
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.revoked = true
	if j.end != nil {
		j.end()
	}
}

func without(ps []peer.ID, one peer.ID) (out []peer.ID) {
	for _, p := range ps {
		if p != one {
			out = append(out, p)
		}
	}
	return out
}
