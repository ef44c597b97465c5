package dht

import (
	"slices"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
)

// view is what a Router knows of the network without asking: the members it has
// met, and which parts of the keyspace it has seen whole. Its owner locks it.
type view struct {
	members  map[peer.ID]*member
	keys     keyspace.Set // of members, ascending
	at       []*member    // at[i] stands at keys[i]
	coverage keyspace.Coverage
}

// member is a peer that was met as a member, or named by a lookup.
type member struct {
	id       peer.ID
	key      keyspace.Key
	met      bool           // it was once connected and a member
	up       bool           // it is connected now
	stranger bool           // it was connected, and stores for nobody
	heard    time.Time      // when it was last named, or there
	gone     time.Time      // since when it is suspect; zero while it is not
	group    keyspace.Group // in which it was last seen

	near   bool      // it is one of the neighbours
	busy   bool      // a ping is under way
	misses int       // pings in a row without an answer
	tries  int       // to reach it since it is suspect
	next   time.Time // when it is pinged or tried again
	line   *line     // on which it is pinged
}

// nearest gives up to n that want holds of, nearest to key first.
func (v *view) nearest(key keyspace.Key, n int, want func(*member) bool) []*member {
	for most := n + 8; ; most *= 2 {
		near := v.keys.Nearest(key, most)
		out := make([]*member, 0, min(n, len(near)))
		for _, i := range near {
			if want(v.at[i]) && len(out) < n {
				out = append(out, v.at[i])
			}
		}
		if len(out) == n || len(near) == len(v.keys) {
			return out
		}
	}
}

// candidates gives those that may be the n closest members to key, with room for
// those that turn out to be gone, nearest first.
func (v *view) candidates(key keyspace.Key, n int) (ids []peer.ID) {
	for _, m := range v.nearest(key, 4*max(n, 20), func(m *member) bool { return !m.stranger }) {
		ids = append(ids, m.id)
	}
	return ids
}

// exact reports whether the n closest members to key can be told without a lookup:
// all that is nearer than the last of them was seen whole, and is fresh.
func (v *view) exact(key keyspace.Key, n int, now time.Time) bool {
	near := v.nearest(key, n, func(m *member) bool { return !m.stranger && m.gone.IsZero() })
	if len(near) < n {
		return v.whole(now)
	}
	return v.coverage.Within(key, near[n-1].key, now)
}

// whole reports whether the whole network was seen.
func (v *view) whole(now time.Time) bool {
	p, _, ok := v.coverage.Covered(keyspace.Key{}, now)
	return ok && p.Bits == 0
}

// found notes a peer that a lookup named.
func (v *view) found(p peer.ID, now time.Time) *member {
	m := v.members[p]
	if m == nil {
		m = &member{id: p, key: keyspace.OfPeer(p)}
		i, _ := v.keys.Find(m.key)
		v.keys, v.at = slices.Insert(v.keys, i, m.key), slices.Insert(v.at, i, m)
		v.members[p] = m
	}
	m.heard = now
	return m
}

// named is found for a peer of which it is known whether it stores for nobody. A member
// that was met is one until its grace is over, whatever is said of it.
func (v *view) named(p peer.ID, stranger bool, now time.Time) {
	m := v.found(p, now)
	m.stranger = stranger && !m.met
}

func (v *view) forget(m *member) {
	if i, ok := v.keys.Find(m.key); ok {
		v.keys, v.at = slices.Delete(v.keys, i, i+1), slices.Delete(v.at, i, i+1)
	}
	delete(v.members, m.id)
}

// meet notes that p is connected and a member; it reports whether that is news.
func (v *view) meet(p peer.ID, now time.Time) bool {
	m := v.found(p, now)
	news := !m.met || !m.gone.IsZero()
	m.met, m.up, m.stranger, m.gone = true, true, false, time.Time{}
	if news {
		m.misses, m.tries, m.next = 0, 0, time.Time{}
	}
	return news
}

// lost notes that p could not be reached, and reports whether that is news of a
// member. One that was never met is forgotten.
func (v *view) lost(p peer.ID, now time.Time) bool {
	m := v.members[p]
	switch {
	case m == nil:
	case !m.met:
		v.forget(m)
	case m.gone.IsZero():
		m.gone = now
		return true
	}
	return false
}

// inGrace reports whether p was a member and has not been gone for longer than grace.
func (v *view) inGrace(p peer.ID, now time.Time, grace time.Duration) bool {
	m := v.members[p]
	return m != nil && m.met && now.Sub(m.gone) < grace
}

// expire forgets members that have been gone for longer than grace, and tells
// which, and when the next one is due (zero: none is gone). What was only heard of
// goes after keep, unless it is heard of again.
func (v *view) expire(now time.Time, grace, keep time.Duration, self peer.ID) (departed []peer.ID, next time.Time) {
	for p, m := range v.members {
		if m.gone.IsZero() {
			if !m.up && p != self && now.Sub(m.heard) > keep {
				v.forget(m)
			}
			continue
		}
		due := m.gone.Add(grace)
		if !due.After(now) {
			departed = append(departed, p)
			v.forget(m)
		} else if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return departed, next
}
