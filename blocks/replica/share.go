package replica

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Of the space for others anybody may take what he likes until most of it is taken. From
// then on a publisher gets an equal share of it, or LeastShare if that is more; what he has
// already stays, unless others with less than their share find no room. Of what is brought then under leases that are
// new, each net gets only so much a day (rates.go). A lease never holds more bytes than it says that there are under its root.

// eased is the part of the space, in tenths, up to which shares do not matter.
const eased = 7

// books says how many bytes are held here for others. used and reserved together are
// never more than the quota.
type books struct {
	used     int64                        // of blocks held for anybody else
	reserved int64                        // of blocks that are being written
	lacking  int64                        // more than there is room for, at most, since somebody last asked
	crowded  bool                         // something was refused for want of room, and hardly any has come since
	refused  int64                        // bytes of what was refused last, a block's at most
	claimed  int64                        // bytes for which somebody under his share found no room, at most, since that was last seen to
	claimant peer.ID                      // who that was
	yields   float64                      // bytes that others may give up for that now
	yieldAt  time.Time                    // when yields was right; zero: never
	by       map[peer.ID]int64            // of blocks held for each publisher
	under    map[blocks.LeaseID]int64     // of blocks held under each lease
	since    map[blocks.LeaseID]time.Time // when the first block came under each that was not known when this peer started
	entering map[string]*entering         // blocks whose holdings are being written, by multihash
}

// entering is a block for which some write holdings at the same time: each of these counts
// once, and what the block takes once for all.
type entering struct {
	n    int
	base func() ([]blocks.Lease, error) // what it was held under before any of these was written
	done []blocks.Lease                 // holdings that were written meanwhile
}

// entry is a block that is counted.
type entry struct {
	leases []blocks.Lease
	size   int64
}

func newBooks() books {
	return books{by: map[peer.ID]int64{}, under: map[blocks.LeaseID]int64{}, since: map[blocks.LeaseID]time.Time{}, entering: map[string]*entering{}}
}

// enter counts a block of size bytes under all of its leases, or, with less than 0, no longer.
func (b *books) enter(self peer.ID, ls []blocks.Lease, size int64) {
	for i, l := range ls {
		if l.Publisher != self {
			b.add(self, ls[:i], l, size)
		}
	}
}

// add counts that a block held under before is held under l too.
func (b *books) add(self peer.ID, before []blocks.Lease, l blocks.Lease, size int64) {
	others, same := false, false
	for _, x := range before {
		others = others || x.Publisher != self
		same = same || x.Publisher == l.Publisher
	}
	if !others {
		b.used += size
	}
	if !same {
		if b.by[l.Publisher] += size; b.by[l.Publisher] <= 0 {
			delete(b.by, l.Publisher)
		}
	}
	id := l.ID()
	if b.under[id] == 0 {
		b.since[id] = time.Now()
	}
	if b.under[id] += size; b.under[id] <= 0 {
		delete(b.under, id)
		delete(b.since, id)
	}
}

// counted reports whether a block with the leases ls is held for anybody else.
func (s *Set) counted(ls []blocks.Lease) bool {
	return slices.ContainsFunc(ls, func(l blocks.Lease) bool { return l.Publisher != s.self })
}

// need is how many bytes more blocks would take: of the space for others, of their
// publisher's share, and under their lease; many is of the last block that was added.
type need struct {
	space, share, lease int64
	many                bool // and a block has as many leases as it may have
}

func (n need) plus(m need) need {
	return need{n.space + m.space, n.share + m.share, n.lease + m.lease, m.many}
}

// many reports whether a block with the leases ls has as many of others that stand as it may have.
func (s *Set) many(ls []blocks.Lease) bool {
	n := 0
	for _, l := range blocks.Standing(ls, time.Now()) {
		if l.Publisher != s.self {
			n++
		}
	}
	return n >= wire.MaxLeases
}

// needs says what the block h of size bytes would take under l that it does not take yet.
func (s *Set) needs(ctx context.Context, l blocks.Lease, h mh.Multihash, size int64) (n need, err error) {
	ls, err := s.ledger.Leases(ctx, h)
	if err != nil {
		return n, err
	}
	if !s.counted(ls) {
		n.space = size
	}
	if !slices.ContainsFunc(ls, func(x blocks.Lease) bool { return x.Publisher == l.Publisher }) {
		n.share = size
	}
	if id := l.ID(); !slices.ContainsFunc(ls, func(x blocks.Lease) bool { return x.ID() == id }) {
		n.lease = size
		n.many = s.many(ls)
	}
	return n, nil
}

// room answers 0 when there is room for n more under l, from net, or why not.
func (s *Set) room(l blocks.Lease, net netip.Prefix, n need) wire.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	no, _ := s.roomLocked(l, net, n)
	return no
}

// roomLocked says besides whether net gets the room out of its part of the day.
func (s *Set) roomLocked(l blocks.Lease, net netip.Prefix, n need) (no wire.Status, rationed bool) {
	b, quota := &s.books, s.cfg.Quota
	if n.many {
		s.overLeased++
		return wire.Leased, false
	}
	if l.Bytes > 0 && n.lease > 0 && uint64(b.under[l.ID()]+n.lease) > l.Bytes {
		return wire.BadLease, false
	}
	taken := b.used + b.reserved + n.space
	if quota < 0 || n.space == 0 && n.share == 0 {
		return 0, false
	}
	if taken > quota {
		b.lacking = max(b.lacking, taken-quota)
		b.crowded, b.refused = true, min(n.space, blocks.MaxSize)
		if n.space > b.claimed && b.by[l.Publisher]+n.share <= s.fairShareLocked(l.Publisher) {
			b.claimed, b.claimant = n.space, l.Publisher
		}
		select {
		case s.pressed <- struct{}{}:
		default:
		}
		return wire.Full, false
	}
	if taken <= quota/10*eased {
		return 0, false
	}
	if b.by[l.Publisher]+n.share > s.fairShareLocked(l.Publisher) {
		return wire.Quota, false
	}
	if n.space == 0 || !s.rationedLocked(l, net) {
		return 0, false
	}
	if !s.meters.day.fits(net, s.perDay(n.space), time.Now()) {
		s.rationed++
		return wire.Quota, false
	}
	return 0, true
}

// reserve is room that is kept until unreserve.
func (s *Set) reserve(l blocks.Lease, net netip.Prefix, n need) wire.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	no, rationed := s.roomLocked(l, net, n)
	if no == 0 {
		s.books.reserved += n.space
	}
	if rationed { // for good, though the write may fail
		s.meters.day.book(net, s.perDay(n.space), time.Now())
	}
	return no
}

func (s *Set) unreserve(n need) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books.reserved -= n.space
}

// spacious is the part of the space, in hundredths, that must be free for a peer that had no
// room to say that it has some: one at its limit does not say so by turns.
const spacious = 5

// Crowded reports whether this peer takes next to nothing more: it refused something for want
// of room, or has none, and since then less than a twentieth of the space has become free, or
// less than what was refused.
func (s *Set) Crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, quota := &s.books, s.cfg.Quota
	if quota < 0 {
		return false
	}
	taken := b.used + b.reserved
	b.crowded = taken >= quota || b.crowded && quota-taken < max(quota/100*spacious, b.refused)
	return b.crowded
}

// Pressed says that something was refused for want of space.
func (s *Set) Pressed() <-chan struct{} { return s.pressed }

// Lacking gives how many bytes there were too few at most since the last call.
func (s *Set) Lacking() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.books.lacking
	s.books.lacking = 0
	return n
}

// hold enters blocks under l, and counts those that were not held so before: each once,
// however many bring it at the same time.
func (s *Set) hold(ctx context.Context, l blocks.Lease, hs []mh.Multihash, size func(i int) int64) (err error) {
	if len(hs) == 0 {
		return nil
	}
	id := l.ID()
	es := make([]*entering, len(hs))
	s.mu.Lock()
	for i, h := range hs {
		e := s.books.entering[string(h)]
		if e == nil {
			e = &entering{base: sync.OnceValues(func() ([]blocks.Lease, error) {
				return s.ledger.Leases(context.WithoutCancel(ctx), h) // others rely on it
			})}
			s.books.entering[string(h)] = e
		}
		e.n++
		es[i] = e
	}
	s.mu.Unlock()
	before := make([][]blocks.Lease, len(hs))
	for i, e := range es {
		if before[i], err = e.base(); err != nil {
			break
		}
	}
	if err == nil {
		err = s.ledger.Hold(ctx, l, hs...)
	}
	if err == nil {
		s.later(s.cfg.PutIdle, hs...) // who brought it may still be bringing it to others
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range es {
		known := slices.Concat(before[i], e.done)
		if err == nil && !slices.ContainsFunc(known, func(x blocks.Lease) bool { return x.ID() == id }) {
			e.done = append(e.done, l)
			s.books.add(s.self, known, l, size(i))
		}
		if e.n--; e.n == 0 {
			delete(s.books.entering, string(hs[i]))
		}
	}
	return err
}

// weigh counts what is held for others already. Nobody enters anything meanwhile.
func (s *Set) weigh(ctx context.Context) error {
	s.entering.Lock()
	defer s.entering.Unlock()
	b := newBooks()
	for held, err := range s.ledger.Held(ctx) {
		if err != nil {
			return fmt.Errorf("replica: count what is held: %w", err)
		}
		if !s.counted(held.Leases) {
			continue
		}
		n, err := s.store.Size(ctx, held.Hash)
		if err != nil && !blocks.IsNotFound(err) {
			return fmt.Errorf("replica: count what is held: %w", err)
		}
		b.enter(s.self, held.Leases, int64(n))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := &s.books
	for id := range b.since { // what is held already when this peer starts has been here for longer
		if at, ok := old.since[id]; ok {
			b.since[id] = at
		} else {
			delete(b.since, id)
		}
	}
	b.crowded, b.refused, b.yields, b.yieldAt = old.crowded, old.refused, old.yields, old.yieldAt
	s.books = b
	return nil
}
