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
	coverage keyspace.Coverage
}

// member is a peer that was met as a member, or named by a lookup.
type member struct {
	key  keyspace.Key
	met  bool      // it was once connected and a member
	gone time.Time // when it was lost; zero while it is not
}

// closest gives the n members nearest to key that are not known to be gone, with
// room for those that turn out to be, and whether the view is fresh and full
// enough for no lookup to be needed.
func (v *view) closest(key keyspace.Key, n int, now time.Time) ([]peer.ID, bool) {
	bits, ok := v.coverage.Covered(key, now)
	ids := v.sorted(key)
	if !ok || bits == 0 {
		return ids, ok
	}
	below := 0 // members under the covered prefix: only among those is the order sure
	for _, p := range ids {
		if keyspace.CommonPrefix(key, v.members[p].key) >= bits {
			below++
		}
	}
	return ids, below >= n
}

func (v *view) covered(key keyspace.Key, now time.Time) bool {
	_, ok := v.coverage.Covered(key, now)
	return ok
}

// sorted gives every member, nearest to key first. The ground for a lookup's
// answer and for a covered part alike; a view of a small network is short, one of
// a large network is bounded by forget.
func (v *view) sorted(key keyspace.Key) []peer.ID {
	ids := make([]peer.ID, 0, len(v.members))
	for p := range v.members {
		ids = append(ids, p)
	}
	slices.SortFunc(ids, func(a, b peer.ID) int {
		return keyspace.Closer(key, v.members[a].key, v.members[b].key)
	})
	return ids
}

// merge gives what a lookup found together with what was known, nearest first.
func (v *view) merge(key keyspace.Key, found []peer.ID, n int) []peer.ID {
	ids := v.sorted(key) // found is among them
	return ids[:min(len(ids), 4*max(n, len(found)))]
}

// found notes a peer that a lookup named.
func (v *view) found(p peer.ID) *member {
	m := v.members[p]
	if m == nil {
		m = &member{key: keyspace.OfPeer(p)}
		v.members[p] = m
	}
	return m
}

// meet notes that p is connected and a member; it reports whether that is news.
func (v *view) meet(p peer.ID) bool {
	m := v.found(p)
	news := !m.met || !m.gone.IsZero()
	m.met, m.gone = true, time.Time{}
	return news
}

// lost notes that p could not be reached. One that was never met is forgotten.
func (v *view) lost(p peer.ID, now time.Time) {
	m := v.members[p]
	switch {
	case m == nil:
	case !m.met:
		delete(v.members, p)
	case m.gone.IsZero():
		m.gone = now
	}
}

// inGrace reports whether p was a member and has not been gone for longer than grace.
func (v *view) inGrace(p peer.ID, now time.Time, grace time.Duration) bool {
	m := v.members[p]
	return m != nil && m.met && now.Sub(m.gone) < grace
}

// expire forgets members that have been gone for longer than grace, and reports
// whether there were any and when the next one is due (zero: none is gone).
func (v *view) expire(now time.Time, grace time.Duration) (departed []peer.ID, next time.Time) {
	for p, m := range v.members {
		if m.gone.IsZero() {
			continue
		}
		due := m.gone.Add(grace)
		if !due.After(now) {
			departed = append(departed, p)
			delete(v.members, p)
		} else if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return departed, next
}
