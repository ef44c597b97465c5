package replicatest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Of each block so many of the closest members are kept in order; a list that has
// become shorter than the second is made anew.
const (
	listLong  = 64
	listShort = 40
)

// entry is a block, and who is near it.
type entry struct {
	hash    mh.Multihash
	key     keyspace.Key
	near    []int32 // the closest of the listed members, nearest first
	holders []int32 // those that have it on their disk, down or up
	lost    bool
}

// entry gives the number of h, which it enters if it is new. The caller holds mu.
func (w *World) entry(h mh.Multihash) int32 {
	if i, ok := w.byHash[string(h)]; ok {
		return i
	}
	e := &entry{hash: h, key: keyspace.OfHash(h)}
	w.rank(e)
	w.entries = append(w.entries, e)
	w.byHash[string(h)] = int32(len(w.entries) - 1)
	return int32(len(w.entries) - 1)
}

// rank makes the list of e.
func (w *World) rank(e *entry) {
	if w.set == nil {
		w.owners = slices.Clone(w.listed)
		slices.SortFunc(w.owners, func(a, b int32) int {
			return slices.Compare(w.members[a].key[:], w.members[b].key[:])
		})
		w.set = make(keyspace.Set, len(w.owners))
		for i, n := range w.owners {
			w.set[i] = w.members[n].key
		}
	}
	e.near = e.near[:0]
	for _, i := range w.set.Nearest(e.key, listLong) {
		e.near = append(e.near, w.owners[i])
	}
}

// list enters a newcomer in every list in which it belongs.
func (w *World) list(m *member) {
	for _, e := range w.entries {
		at, _ := slices.BinarySearchFunc(e.near, m, func(n int32, m *member) int {
			return keyspace.Closer(e.key, w.members[n].key, m.key)
		})
		if at == listLong || at == len(e.near) && len(e.near) < len(w.listed) {
			continue // too far, or others may be between
		}
		if len(e.near) == listLong {
			e.near = e.near[:listLong-1]
		}
		e.near = slices.Insert(e.near, at, m.n)
	}
	w.listed = append(w.listed, m.n)
	w.set = nil
}

// unlist strikes out one whom nobody remembers.
func (w *World) unlist(m *member) {
	w.listed = slices.DeleteFunc(w.listed, func(n int32) bool { return n == m.n })
	w.set = nil
	for _, e := range w.entries {
		if at := slices.Index(e.near, m.n); at >= 0 {
			if e.near = slices.Delete(e.near, at, at+1); len(e.near) < listShort && len(w.listed) > len(e.near) {
				w.rank(e)
			}
		}
	}
}

// sees is what o believes of m at now: whether it is alive, and if not whether it
// still has its seat. The caller holds mu.
func (w *World) sees(o, m *member, now time.Time) (alive, seat bool) {
	if o == m {
		return true, true
	}
	later := w.later(o, m)
	knows := func(t turn, end time.Time) bool { return end.Sub(t.at) >= t.lag+later || o.born.After(t.at) && m.up }
	lost := func(since time.Time, lag time.Duration) (bool, bool) {
		return false, since.After(o.born) && now.Before(since.Add(lag+later+w.cfg.Grace))
	}
	switch {
	case m.up && !knows(m.now, now):
		switch {
		case m.before.at.IsZero():
			return false, false // a newcomer
		case m.now.at.Sub(m.before.at) >= m.before.lag+later:
			return lost(m.before.at, m.before.lag)
		}
	case !m.up:
		switch {
		case o.born.After(m.now.at):
			return false, false // it never met it
		case m.now.at.Sub(m.before.at) < m.before.lag+later && m.starts < 2:
			return false, false // it died before it was known
		case knows(m.now, now):
			return lost(m.now.at, m.now.lag)
		}
	}
	if w.cut != nil && w.cut(int(o.n), int(m.n)) {
		healed := !w.healAt.IsZero() && now.Sub(w.healAt) >= w.cfg.Meet.Min+later
		if lag := w.cfg.Detect.Min + later; !healed && now.Sub(w.cutAt) >= lag {
			return lost(w.cutAt, lag)
		}
	}
	return true, true
}

// later is how much later than the first o hears of what became of m.
func (w *World) later(o, m *member) time.Duration {
	x := (uint64(o.n)<<32 | uint64(m.n)) * 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return time.Duration(x>>11) % max(w.cfg.Spread, 1)
}

// zone is how many of the members nearest to another look up when that one comes or goes.
const zone = 32

// tell wakes the members near m once they know what became of it.
func (w *World) tell(m *member, lag time.Duration) {
	if m.outside {
		return
	}
	w.mu.Lock()
	near := entry{key: m.key}
	w.rank(&near)
	w.mu.Unlock()
	for _, n := range near.near[:min(zone, len(near.near))] {
		if o := w.members[n]; o != m {
			w.At(lag+w.later(o, m)+time.Millisecond, func() { w.wake(o) })
		}
	}
}

func (w *World) tellAll(lag time.Duration) {
	for _, m := range w.members {
		w.At(lag+w.later(m, m)+time.Millisecond, func() { w.wake(m) })
	}
}

func (w *World) wake(o *member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !o.up {
		return
	}
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// router is how one member sees the others.
type router struct {
	w *World
	m *member
}

var errAlone = errors.New("replicatest: no other member is known")

// Closest implements replica.Router.
func (r router) Closest(_ context.Context, h mh.Multihash, n int) (ids []peer.ID, exact bool, err error) {
	ids, _, err = r.seats(h, n, false)
	return ids, true, err
}

// Seats implements replica.Router.
func (r router) Seats(_ context.Context, h mh.Multihash, n int) ([]peer.ID, []bool, error) {
	return r.seats(h, n, true)
}

func (r router) seats(h mh.Multihash, n int, lost bool) (ids []peer.ID, alive []bool, err error) {
	w, now := r.w, time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	ids, alive = make([]peer.ID, 0, n), make([]bool, 0, n)
	for _, k := range w.entries[w.entry(h)].near {
		m := w.members[k]
		ok, seat := w.sees(r.m, m, now)
		if !ok && !(seat && lost) {
			continue
		}
		if ids, alive = append(ids, m.id), append(alive, ok); len(ids) == n {
			break
		}
	}
	if len(ids) == 0 {
		return nil, nil, errAlone
	}
	return ids, alive, nil
}

// Ready implements replica.Router.
// Cover does nothing: every look is exact, and costs nothing.
func (r router) Cover(context.Context, []mh.Multihash) error { return nil }

// Flagged knows nothing of anybody.
func (r router) Flagged(peer.ID) (full, young bool) { return false, false }

func (r router) Ready() <-chan struct{} {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.m.ready
}

// Changed implements replica.Router.
func (r router) Changed() <-chan struct{} {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.m.changed
}
