package replica

import (
	"context"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Where the r closest to a block are of few nets, its holders are more than these: walking
// outward, those beside them that count until r do, by the rule of [keyspace.Holders]. So
// one net that goes down, or one owner of many ids, does not have all copies.
//
//	the 2r closest → do r of them count? → the next that are known → there? → counts?
//
// Everything that asks who holds a block asks here, or in sync.go for many at once. Those
// that are added never take a place from the r closest: who sees nobody's net, or another
// net than others do, agrees with them on these.

// Places says where on the internet members are. Nearby and Reach are for those who are too
// far from a block to be asked for by Closest.
type Places interface {
	Group(p peer.ID) keyspace.Group                               // the net p is seen in; the zero Group is none
	Nearby(h mh.Multihash, n int) []peer.ID                       // who is known, nearest first, there or not; asks nobody
	Reach(ctx context.Context, ps []peer.ID) (alive, seat []bool) // who is there; who is, or was lost a moment ago
}

// spread gives the holders of h beside the r closest, nearest first. near is the members
// closest to h without the publisher, nearest first; open says that there may be others
// beyond them. With lost those count too that were lost a moment ago.
func (s *Set) spread(ctx context.Context, h mh.Multihash, publisher peer.ID, near []seat, open bool, r int, lost bool) (more []seat) {
	if s.cfg.Places == nil || len(near) == 0 {
		return nil
	}
	var nets keyspace.Spread
	for i, st := range near[:min(len(near), keyspace.Outward)] {
		if nets.Counted() == r {
			return more
		}
		if nets.Count(s.cfg.Places.Group(st.peer)) && i >= r {
			more = append(more, st)
		}
	}
	if !open {
		return more
	}
	x, last := keyspace.OfHash(h), keyspace.OfPeer(near[len(near)-1].peer)
	beyond := slices.DeleteFunc(s.cfg.Places.Nearby(h, keyspace.Outward), func(p peer.ID) bool {
		return p == publisher || keyspace.Closer(x, keyspace.OfPeer(p), last) <= 0 || s.trust.is(p, !lost)
	})
	for nets.Counted() < r {
		var next []peer.ID
		for len(beyond) > 0 && len(next) < r-nets.Counted() {
			if nets.Fits(s.cfg.Places.Group(beyond[0])) {
				next = append(next, beyond[0])
			}
			beyond = beyond[1:]
		}
		if len(next) == 0 {
			break
		}
		alive, seated := s.cfg.Places.Reach(ctx, next)
		for i, p := range next {
			if alive[i] || lost && seated[i] {
				if nets.Count(s.cfg.Places.Group(p)) { // it may be known only now
					more = append(more, seat{peer: p, alive: alive[i]})
				}
			}
		}
	}
	return more
}

// closest gives up to 2r live members nearest to h that have room, and those in between that
// say they have none: up to 4r, without the publisher. open says that there may be others
// beyond them. Any of them may hold h.
func (s *Set) closest(ctx context.Context, h mh.Multihash, publisher peer.ID, r int) (near []peer.ID, open bool, err error) {
	for n := 2 * r; ; {
		ids, _, err := s.router.Closest(ctx, h, n+1)
		if err != nil {
			return nil, false, err
		}
		near, open = others(ids, publisher, n), len(ids) == n+1
		wide := min(2*r+s.fullAmong(near), 4*r)
		if len(near) < n || wide <= n {
			return near, open, nil
		}
		n = wide
	}
}

// widened gives ids, the 2r+1 members closest to h and holders beyond, with one more member
// for each that has no room, 4r+1 at most.
func (s *Set) widened(ctx context.Context, h mh.Multihash, r int, ids []peer.ID, alive []bool) ([]peer.ID, []bool, error) {
	all, up := ids, alive
	for n := 2*r + 1; len(all) >= n; {
		wide := min(2*r+1+s.fullAmong(all[:n]), 4*r+1)
		if wide <= n {
			break
		}
		var err error
		if all, up, err = s.router.Seats(ctx, h, wide); err != nil {
			return nil, nil, err
		}
		n = wide
	}
	if len(ids) <= 2*r+1 {
		return all, up, nil
	}
	for i, p := range ids[2*r+1:] {
		if !slices.Contains(all, p) {
			all, up = append(all, p), append(up, alive[2*r+1+i])
		}
	}
	return all, up, nil
}

// holders gives the live members closest to h as closest does: its live holders are the first
// r of them, and more, of whom some may be among them.
func (s *Set) holders(ctx context.Context, h mh.Multihash, publisher peer.ID, r int) (near, more []peer.ID, err error) {
	near, open, err := s.closest(ctx, h, publisher, r)
	if err != nil {
		return nil, nil, err
	}
	return near, s.spreadLive(ctx, h, publisher, near, open, r), nil
}

func (s *Set) spreadLive(ctx context.Context, h mh.Multihash, publisher peer.ID, near []peer.ID, open bool, r int) (more []peer.ID) {
	if s.cfg.Places == nil {
		return nil
	}
	for _, st := range s.spread(ctx, h, publisher, seatsOf(near, nil, ""), open, r, false) {
		more = append(more, st.peer)
	}
	return more
}

// inOrder gives the holders among near and more, and then the others of near, each once;
// n is how many of them are the holders.
func inOrder(near, more []peer.ID, r int) (all []peer.ID, n int) {
	n = min(r, len(near))
	if len(more) == 0 {
		return near, n
	}
	all = slices.Concat(near[:n], more)
	for _, p := range near[n:] {
		if !slices.Contains(more, p) {
			all = append(all, p)
		}
	}
	return all, n + len(more)
}

// seatsOf makes seats of members, without the publisher; alive is nil where all are.
func seatsOf(ids []peer.ID, alive []bool, publisher peer.ID) []seat {
	out := make([]seat, 0, len(ids))
	for i, p := range ids {
		if p != publisher {
			out = append(out, seat{peer: p, alive: alive == nil || alive[i]})
		}
	}
	return out
}

// seats gives the 2r+1 members closest to h and after them those holders that are farther,
// the lost of late among all; more is the holders beside the r closest, as in holders.
func (s *Set) seats(ctx context.Context, h mh.Multihash, publisher peer.ID, r int) (ids []peer.ID, alive []bool, more []seat, err error) {
	ids, alive, err = s.router.Seats(ctx, h, 2*r+1)
	if err != nil || s.cfg.Places == nil {
		return ids, alive, nil, err
	}
	more = s.spread(ctx, h, publisher, seatsOf(ids, alive, publisher), len(ids) == 2*r+1, r, true)
	for _, st := range more {
		if !slices.Contains(ids, st.peer) {
			ids, alive = append(ids, st.peer), append(alive, st.alive)
		}
	}
	return ids, alive, more, nil
}

// nets gives the group of each member, each asked for once.
func (s *Set) nets() func(peer.ID) keyspace.Group {
	known := map[peer.ID]keyspace.Group{}
	return func(p peer.ID) keyspace.Group {
		g, ok := known[p]
		if !ok {
			g = s.cfg.Places.Group(p)
			known[p] = g
		}
		return g
	}
}

// holdersAmong gives the holders of x under l, of members whose places in keys say who they
// are. group is nil where nobody's net matters.
func holdersAmong(keys keyspace.Set, at map[keyspace.Key]peer.ID, x keyspace.Key, l blocks.Lease, group func(peer.ID) keyspace.Group) []peer.ID {
	nearest := func(n int) []peer.ID {
		var ids []peer.ID
		for _, i := range keys.Nearest(x, n+1) {
			ids = append(ids, at[keys[i]])
		}
		return others(ids, l.Publisher, n)
	}
	closest := nearest(l.R)
	if group == nil {
		return closest
	}
	groups := func(ps []peer.ID) (gs []keyspace.Group) {
		for _, p := range ps {
			gs = append(gs, group(p))
		}
		return gs
	}
	var nets keyspace.Spread
	for _, g := range groups(closest) {
		nets.Count(g)
	}
	if nets.Counted() == l.R {
		return closest
	}
	near, out := nearest(max(keyspace.Outward, l.R)), []peer.ID(nil)
	for _, i := range keyspace.Holders(groups(near), l.R) {
		out = append(out, near[i])
	}
	return out
}
