package replica

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// maxWitnesses bounds the blocks that stand for others. A peer shares keys with some
// ten others, so there are far fewer sets of holders than that.
const maxWitnesses = 256

// witness is a block that stands for all with the same holders: while its neighbourhood
// is what it was, theirs is too. What this overlooks, a round over all blocks finds.
type witness struct {
	hash  mh.Multihash
	lease blocks.Lease
	ids   []peer.ID // nearest first, 2r+1 where there are so many, and the holders beyond
	alive []bool
}

// company names the set of the n nearest of ids, whatever their order.
func company(ids []peer.ID, n int) string {
	part := slices.Sorted(slices.Values(ids[:min(n, len(ids))]))
	var b strings.Builder
	for _, p := range part {
		b.WriteString(string(p))
		b.WriteByte(0)
	}
	return b.String()
}

// stand lets h stand for its group, if nobody does yet. The caller holds examining.
func (s *Set) stand(h mh.Multihash, l blocks.Lease, ids []peer.ID, alive []bool) {
	name := company(ids, l.R+1)
	if _, ok := s.groups[name]; !ok && len(s.groups) < maxWitnesses {
		s.groups[name] = &witness{h, l, ids, alive}
	}
}

// change is what is different about the members near the blocks held here.
type change struct {
	known              keyspace.Set                      // everybody near, before or after
	moved              map[keyspace.Key]bool             // who came, went or turned; true: came or went
	group              func(keyspace.Key) keyspace.Group // nil: nobody's net matters
	came, went, turned int
}

// changes looks at the neighbourhoods of the witnesses, and notes how they are now.
func (s *Set) changes(ctx context.Context) (c change, err error) {
	c.moved = map[keyspace.Key]bool{}
	nearby := map[peer.ID]bool{}
	old := s.groups
	s.groups = map[string]*witness{}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		w := old[name]
		n := 2*w.lease.R + 1
		ids, alive, _, err := s.seats(ctx, w.hash, w.lease.Publisher, w.lease.R)
		if ctx.Err() != nil {
			s.groups = old
			return c, ctx.Err()
		}
		if err != nil {
			s.log.Debug("neighbourhood not looked at", "key", w.hash.B58String(), "err", err)
			s.groups[name] = w
			continue
		}
		s.stand(w.hash, w.lease, ids, alive)
		for _, p := range slices.Concat(w.ids, ids) {
			nearby[p] = true
		}
		if slices.Equal(ids, w.ids) && slices.Equal(alive, w.alive) {
			continue
		}
		key := keyspace.OfHash(w.hash)
		for i, p := range ids {
			switch j := slices.Index(w.ids, p); {
			case j < 0 && within(key, p, w.ids, n):
				c.note(p, true, &c.came)
			case j >= 0 && alive[i] != w.alive[j]:
				c.note(p, false, &c.turned)
			}
		}
		for _, p := range w.ids {
			if !slices.Contains(ids, p) && within(key, p, ids, n) {
				c.note(p, true, &c.went)
			}
		}
	}
	keys, at := places(slices.Collect(maps.Keys(nearby)))
	c.known = keys
	if s.cfg.Places != nil {
		group := s.nets()
		c.group = func(k keyspace.Key) keyspace.Group { return group(at[k]) }
	}
	return c, nil
}

// within reports whether p would be among ids, the n nearest to key, if it were there:
// if not, its coming or going cannot be told from theirs.
func within(key keyspace.Key, p peer.ID, ids []peer.ID, n int) bool {
	return len(ids) < n || keyspace.Closer(key, keyspace.OfPeer(p), keyspace.OfPeer(ids[len(ids)-1])) < 0
}

func (c *change) note(p peer.ID, seat bool, n *int) {
	k := keyspace.OfPeer(p)
	if was, ok := c.moved[k]; !ok {
		c.moved[k] = seat
		*n++
	} else if seat && !was {
		c.moved[k] = true
	}
}

// touch is what those who moved have to do with a block.
type touch int

const (
	untouched touch = iota
	far             // one may stand in for a holder
	near            // one has or had a seat, or would but for the publisher
)

// touches says what those who moved have to do with a key of r copies, and whether by
// that another peer has a seat than before. Of those whose coming or going changes the
// seats of a key, the nearest has its true rank among those known before or after: nobody
// nearer moved. Of others the rank may be too small, so this errs towards yes.
func (c *change) touches(x keyspace.Key, r int) (how touch, seat bool) {
	last := -1 // not computed
	for p, came := range c.moved {
		rank := c.known.Rank(x, p)
		if rank > r && c.group != nil && last < 0 {
			last = c.last(x, r)
		}
		switch {
		case rank <= max(r, last):
			how, seat = near, seat || came
		case rank <= 2*r:
			how = max(how, far)
		}
	}
	return how, seat
}

// last is the rank, among those known before or after, of the last who can be a holder of x,
// whoever is its publisher: up to there one who moved may have made or taken a seat. The
// nearest of those who moved is looked at as the walk of before or after looked at it.
func (c *change) last(x keyspace.Key, r int) int {
	var nets keyspace.Spread
	for i, at := range c.known.Nearest(x, keyspace.Outward+1) {
		if nets.Count(c.group(c.known[at])); nets.Counted() > r {
			return i
		}
	}
	return keyspace.Outward
}
