package replica

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Who filled a peer early does not lock the others out. When one with less than his share is
// refused for want of room, those with more than theirs give way, a little each day:
//
//	above their share → their blocks, the farthest first → do r others prove them? one more is
//	given it if need be → let go → not taken again for a while
//
// It is the last step of making room: what was merely read, what closer peers hold and what
// leases held that are over have gone before. Nobody goes below his share by it, and nothing
// is let go of which r others have not just proved that they hold it.

const (
	lookedAt  = 4 * shedAtOnce // blocks of which it is found out how near they are, in one call
	coolTimes = 4              // Full passes for which what gave way is not taken again
)

// Displaced is what publishers above their share have given up.
type Displaced struct {
	Blocks, Bytes int64
	Kept          int64 // blocks that stay, because fewer than r others hold them
}

// GaveWay is what publishers above their share have given up since the start.
func (s *Set) GaveWay() Displaced {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.displaced
}

// fairShareLocked is how many bytes a publisher may have held when space is short, with one more
// publisher beside those there are unless p is one of them. The caller holds mu.
func (s *Set) fairShareLocked(p peer.ID) int64 {
	publishers := int64(len(s.books.by))
	if s.books.by[p] == 0 {
		publishers++
	}
	return max(s.cfg.LeastShare, s.cfg.Quota/publishers)
}

// claimed gives how many bytes those under their share lack, as far as it may be made good
// today, and by how much others are above theirs.
func (s *Set) claimed() (want int64, above map[peer.ID]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, now := &s.books, time.Now()
	if b.claimed == 0 || s.cfg.Yield < 0 || s.cfg.Quota < 0 {
		return 0, nil
	}
	if b.yieldAt.IsZero() {
		b.yields = float64(s.cfg.Yield)
	} else {
		b.yields = min(float64(s.cfg.Yield), b.yields+now.Sub(b.yieldAt).Hours()/24*float64(s.cfg.Yield))
	}
	b.yieldAt = now
	want = min(b.used+b.reserved+b.claimed-s.cfg.Quota, int64(b.yields))
	share, above := s.fairShareLocked(b.claimant), map[peer.ID]int64{}
	b.claimed = 0
	for p, n := range b.by {
		if n > share {
			above[p] = n - share
		}
	}
	return want, above
}

// Displace lets go of blocks of publishers that have more than their share, for those that
// have less and were refused for want of room since the last call.
func (s *Set) Displace(ctx context.Context) (out Displaced, err error) {
	want, above := s.claimed()
	if _, on := s.braked(); on || want <= 0 || len(above) == 0 {
		return out, nil
	}
	chosen, err := s.choose(ctx, want, above)
	if err != nil || len(chosen) == 0 {
		return out, err
	}
	few, err := s.giveUp(ctx, chosen, &out)
	var again []*spared
	for _, c := range few { // too few have it: one more is to, before this one lets go
		if s.handOn(ctx, c) {
			again = append(again, c)
		} else {
			out.Kept++
		}
	}
	if err == nil {
		few, err = s.giveUp(ctx, again, &out)
		out.Kept += int64(len(few))
	}
	s.mu.Lock()
	s.books.yields -= float64(out.Bytes)
	s.displaced = Displaced{s.displaced.Blocks + out.Blocks, s.displaced.Bytes + out.Bytes, s.displaced.Kept + out.Kept}
	s.mu.Unlock()
	return out, err
}

// giveUp lets go of those of cs that r others prove, as soon as they have, enters that in out,
// and gives those of which fewer do.
func (s *Set) giveUp(ctx context.Context, cs []*spared, out *Displaced) (few []*spared, err error) {
	defer s.parting(cs)()
	if err := s.proves(ctx, cs); err != nil {
		return nil, err
	}
	for _, c := range cs {
		if len(c.keep) < c.owed.lease.R {
			few = append(few, c)
			continue
		}
		gone, err := s.release(ctx, c, "copy of a publisher above his share let go")
		if err != nil {
			return nil, err
		}
		if gone {
			out.Blocks, out.Bytes = out.Blocks+1, out.Bytes+c.size
			s.gaveWay(c)
		}
	}
	return few, nil
}

// choose picks blocks of want bytes, those to whose keys this peer is farthest first, that
// are held for nobody but publishers above their share, none of whom goes below it.
func (s *Set) choose(ctx context.Context, want int64, above map[peer.ID]int64) (out []*spared, err error) {
	var all []*spared
	s.mu.Lock()
	from := s.yieldFrom
	s.mu.Unlock()
	next := ""
	for held, err := range s.ledger.Held(ctx) {
		if err != nil {
			return nil, fmt.Errorf("replica: displace: %w", err)
		}
		if string(held.Hash) <= from || slices.ContainsFunc(held.Leases, func(l blocks.Lease) bool { return above[l.Publisher] == 0 }) {
			continue
		}
		l, ok := s.governs(held.Leases)
		if !ok {
			continue // the collection's, or it is being placed
		}
		size, err := s.store.Size(ctx, held.Hash)
		if err != nil {
			continue
		}
		o, _, _, err := s.glance(ctx, held.Hash, l)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			continue // another time
		}
		all = append(all, &spared{hash: slices.Clone(held.Hash), leases: held.Leases, owed: o, size: int64(size), proved: map[peer.ID]bool{}})
		if len(all) == lookedAt {
			next = string(held.Hash)
			break
		}
	}
	s.mu.Lock()
	s.yieldFrom = next
	s.mu.Unlock()
	slices.SortStableFunc(all, func(a, b *spared) int { return cmp.Compare(b.owed.rank(s.self), a.owed.rank(s.self)) })
	for _, c := range all {
		if want <= 0 || len(out) == shedAtOnce {
			break
		}
		whose := map[peer.ID]bool{}
		for _, l := range c.leases {
			whose[l.Publisher] = true
		}
		fits := c.size <= want || len(out) == 0
		for p := range whose {
			fits = fits && above[p] >= c.size
		}
		if !fits {
			continue
		}
		for p := range whose {
			above[p] -= c.size
		}
		want -= c.size
		out = append(out, c)
	}
	return out, nil
}

// proves asks all who may hold each of cs for proof, and notes who gave it, nearest first.
func (s *Set) proves(ctx context.Context, cs []*spared) error {
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce) // never fails
	asks := map[peer.ID][]*spared{}
	for _, c := range cs {
		c.near, c.keep, c.proof, c.proved = nil, nil, nil, map[peer.ID]bool{}
		if err := s.proofOf(ctx, c, nonce); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue // it is rotten: not a copy to be counted, and not one to be given up unseen
		}
		for _, p := range c.candidates(s.self) {
			asks[p] = append(asks[p], c)
		}
	}
	s.challenge(ctx, nonce, asks)
	for _, c := range cs {
		for _, p := range c.candidates(s.self) {
			if c.proved[p] {
				c.keep = append(c.keep, p)
			}
		}
	}
	return ctx.Err()
}

// candidates are the live members that may hold c, nearest first, without self.
func (c *spared) candidates(self peer.ID) (out []peer.ID) {
	for _, st := range c.owed.seats {
		if st.alive && st.peer != self {
			out = append(out, st.peer)
		}
	}
	return append(out, c.owed.spare...)
}

// handOn gives c to as many as it takes for r others to have it, and reports whether it was
// given to anybody.
func (s *Set) handOn(ctx context.Context, c *spared) bool {
	lacking := c.owed.lease.R - len(c.keep)
	var to []peer.ID
	for _, p := range c.candidates(s.self) {
		full := slices.ContainsFunc(c.owed.seats, func(st seat) bool { return st.peer == p && st.full })
		if len(to) < lacking && !full && !c.proved[p] {
			to = append(to, p)
		}
	}
	t := &task{hash: c.hash, lease: c.owed.lease, to: to, live: len(c.keep), since: time.Now()}
	if len(to) < lacking || c.proof == nil || !s.calm.claim(t) {
		return false
	}
	s.carry(ctx, s.calm, []*task{t})
	return true
}

// gaveWay notes that c was let go here, and who keeps it.
func (s *Set) gaveWay(c *spared) {
	d, own := digestOfHash(c.hash), keyspace.OfPeer(s.self)
	last := c.keep[len(c.keep)-1]
	for _, p := range c.keep { // the first that is farther than this peer is the one to be named
		if keyspace.Closer(keyspace.OfHash(c.hash), keyspace.OfPeer(p), own) > 0 {
			last = p
			break
		}
	}
	s.keptBy(last, d, true)
	x := s.hand
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.stands, d)
	if len(x.cooling) < maxPointers {
		x.cooling[d] = time.Now().Add(coolTimes * s.cfg.Full)
	}
}

// cools reports whether h gave way a while ago: it is not taken again so soon, unless few
// copies are left, so that nothing goes to and fro.
func (s *Set) cools(h mh.Multihash) bool {
	x, d := s.hand, digestOfHash(h)
	x.mu.Lock()
	defer x.mu.Unlock()
	return lasts(x.cooling, d)
}
