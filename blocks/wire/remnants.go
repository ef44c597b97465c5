package wire

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// What is kept of blocks that did not come whole, and for how long: until their bringer
// has started again, or found its way back.
const (
	remnantLeast = 4 << 10 // bytes; less is not worth it
	remnantsEach = 16 << 20
	remnantsAll  = 32 << 20
	remnantTime  = 2 * time.Minute
)

// remnants are the beginnings of blocks whose streams were cut, each for the peer that
// brought it, who is asked for the rest when it offers that block again. Nobody else's bytes
// come into such a block, so that whoever made it wrong is known.
type remnants struct {
	lost func(bytes int) // told what was let go

	mu  sync.Mutex
	all []*remnant // guarded by mu: oldest first
}

// remnant is the first bytes of a block of size.
type remnant struct {
	from  peer.ID
	hash  string
	size  int
	bytes []byte
	since time.Time
	clock *time.Timer
}

// keep keeps bytes, of which nobody else has any more, or lets them go.
func (r *remnants) keep(from peer.ID, h mh.Multihash, size int, bytes []byte) {
	if len(bytes) < remnantLeast || len(bytes) >= size {
		r.lost(len(bytes))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &remnant{from: from, hash: string(h), size: size, bytes: bytes, since: time.Now()}
	m.clock = time.AfterFunc(remnantTime, func() { r.drop(m) })
	r.removeLocked(func(x *remnant) bool { return x.from == from && x.hash == m.hash })
	r.all = append(r.all, m)
	own, sum := 0, 0
	for _, x := range r.all {
		sum += len(x.bytes)
		if x.from == from {
			own += len(x.bytes)
		}
	}
	r.removeLocked(func(x *remnant) bool { // the oldest ones
		over := own > remnantsEach && x.from == from || sum > remnantsAll
		if over {
			sum -= len(x.bytes)
			if x.from == from {
				own -= len(x.bytes)
			}
		}
		return over
	})
}

// take takes out what is here of the block h, of size bytes, that from brought. nil: nothing.
func (r *remnants) take(from peer.ID, h mh.Multihash, size int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, x := range r.all {
		if x.from == from && x.hash == string(h) && x.size == size {
			x.clock.Stop()
			r.all = append(r.all[:i:i], r.all[i+1:]...)
			return x.bytes
		}
	}
	return nil
}

func (r *remnants) drop(m *remnant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(func(x *remnant) bool { return x == m })
}

// removeLocked lets those go of which gone says so.
func (r *remnants) removeLocked(gone func(*remnant) bool) {
	var left []*remnant
	for _, x := range r.all {
		if !gone(x) {
			left = append(left, x)
			continue
		}
		x.clock.Stop()
		r.lost(len(x.bytes))
	}
	r.all = left
}

// begun finds which of the items that are due have come in part, and gives that back to
// be told in the Want.
func (t *taking) begun() (all []begun) {
	t.heads = map[int][]byte{}
	for i, it := range t.items {
		if !t.due[i] || it.flags&flagRest == 0 {
			continue
		}
		if b := t.remnants.take(t.from, it.hash, int(it.size)); b != nil {
			t.heads[i] = b
			all = append(all, begun{uint32(i), uint32(len(b))})
		}
	}
	return all
}

// unused keeps on what was begun before and has not been gone on with.
func (t *taking) unused() {
	for i, b := range t.heads {
		t.remnants.keep(t.from, t.items[i].hash, int(t.items[i].size), b)
	}
}
