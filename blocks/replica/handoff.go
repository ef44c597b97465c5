package replica

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica/rbsr"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// A holder without room leaves its place, for the block that it refused, to the next closest:
//
//	it refuses → the next closest takes it → the one that refused asks those who did
//	           → and names him to whoever asks it for the block
//	who was refused → counts the next closest in its place, in repair and comparison
//	                → asks again later, each time twice as late, or when it says that there is room
//
// All of it is hints in memory: bounded, gone after a while and after a restart. A pointer is
// made from what the one that it names said itself, so that no third party can plant one, and
// who follows it checks what it gets.

// The bounds of what is remembered of refusals.
const (
	maxPointers   = 1 << 16 // of 40 bytes
	maxAsked      = 4096    // blocks of which it is not known yet who took them
	maxAskedEach  = 512     // of those, offered by one peer
	pointTries    = 4       // to find who took a block
	maxPatient    = 4       // doublings of the time for which a refusal is believed
	pointersEach  = maxPointers / 4
	maxRefusals   = 1 << 16
	rememberTimes = 2 // that a refusal is remembered for longer than it is believed
)

// digest is the beginning of a block's key: enough for a hint.
type digest [16]byte

func digestOf(k keyspace.Key) digest { return digest(k[:len(digest{})]) }

func digestOfHash(h mh.Multihash) digest { return digestOf(keyspace.OfHash(h)) }

// pointer says who keeps a block in another's place, until when that is believed.
type pointer struct {
	to    peer.ID // its bytes are shared with those who know the peer anyway
	until int64   // Unix seconds
	own   bool    // this peer had no room for it itself
}

// sent is a block that was refused here and of which it is not known who took it.
type sent struct {
	hash      mh.Multihash
	publisher peer.ID
	r         int
	from      peer.ID
	at        time.Time // when to ask
	tries     int
}

// refusal is that a peer said it has no room for a block.
type refusal struct {
	until   time.Time // to be asked again
	told    bool      // itself, of this block; else it was only seen to lack it
	flagged bool      // it said at some time since that it has no room for anything
	tries   int
}

type refusalOf struct {
	by    peer.ID
	block digest
}

// handoff is what is remembered of refusals, this peer's own and others'.
type handoff struct {
	mu       sync.Mutex
	asked    map[string]*sent      // guarded by mu: by multihash
	askedBy  map[peer.ID]int       // guarded by mu: how many of asked each offered
	pointers map[digest]pointer    // guarded by mu
	naming   map[peer.ID]int       // guarded by mu: how many of pointers name each
	refusals map[refusalOf]refusal // guarded by mu: of others
	cooling  map[digest]time.Time  // guarded by mu: what gave way here, until when it is not taken again
	stands   map[digest]time.Time  // guarded by mu: what is kept here in another's place, until when that is believed
}

func newHandoff() *handoff {
	return &handoff{asked: map[string]*sent{}, askedBy: map[peer.ID]int{}, pointers: map[digest]pointer{}, naming: map[peer.ID]int{},
		refusals: map[refusalOf]refusal{}, stands: map[digest]time.Time{}, cooling: map[digest]time.Time{}}
}

// turnedAway notes that h was refused here, for want of room, as one of its holders.
func (s *Set) turnedAway(from peer.ID, l blocks.Lease, h mh.Multihash) {
	if s.cfg.NoHandoff {
		return
	}
	x, now := s.hand, time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.asked[string(h)] != nil || len(x.asked) >= maxAsked || x.askedBy[from] >= maxAskedEach {
		return
	}
	if p, ok := x.pointers[digestOfHash(h)]; ok && time.Unix(p.until, 0).Sub(now) > s.pointTime()/2 {
		return
	}
	x.asked[string(h)] = &sent{hash: slices.Clone(h), publisher: l.Publisher, r: l.R, from: from, at: now.Add(s.cfg.AfterChange)}
	x.askedBy[from]++
}

// noRoom reports whether st says that a holder has no room for a block.
func noRoom(st wire.Status) bool { return st == wire.Full || st == wire.Quota }

// handOff notes what becomes of items that were offered here: those refused for want of room
// somebody else is to keep, the others are here, or come.
func (s *Set) handOff(from peer.ID, l blocks.Lease, items []wire.Item, out []wire.Status, seated []bool) {
	for i, it := range items {
		switch {
		case out[i] == 0 || out[i] == wire.Have:
			s.kept(it.Hash, seated[i])
		case noRoom(out[i]) && seated[i]:
			s.turnedAway(from, l, it.Hash)
		}
	}
}

// pointTime is how long a pointer is believed.
func (s *Set) pointTime() time.Duration { return 2 * s.cfg.Full }

// forgetLocked ends that it is asked who took h.
func (x *handoff) forgetLocked(h string) {
	if o := x.asked[h]; o != nil {
		delete(x.asked, h)
		if x.askedBy[o.from]--; x.askedBy[o.from] <= 0 {
			delete(x.askedBy, o.from)
		}
	}
}

// pointLocked notes that to keeps a block, for as long as life.
func (x *handoff) pointLocked(d digest, to peer.ID, own bool, life time.Duration) {
	if old, ok := x.pointers[d]; ok {
		x.dropLocked(d, old)
	}
	if len(x.pointers) >= maxPointers || x.naming[to] >= pointersEach {
		return
	}
	x.pointers[d] = pointer{to, time.Now().Add(life).Unix(), own}
	x.naming[to]++
}

func (x *handoff) dropLocked(d digest, p pointer) {
	delete(x.pointers, d)
	if x.naming[p.to]--; x.naming[p.to] <= 0 {
		delete(x.naming, p.to)
	}
}

// InPlace gives who keeps h, which is not here, in the place of this peer, which had no room
// for it or gave it up, as far as is known: it said so itself, a while ago. A peer that has no
// room finds out for the next time.
func (s *Set) InPlace(h mh.Multihash) (peer.ID, bool) {
	p, ok := s.hand.pointed(digestOfHash(h))
	if !ok && s.Crowded() && !s.tooFar(h, s.cfg.R) {
		s.turnedAway("", blocks.Lease{R: s.cfg.R}, h)
	}
	return p, ok
}

func (x *handoff) pointed(d digest) (peer.ID, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p, ok := x.pointers[d]
	if ok && time.Now().Unix() >= p.until {
		x.dropLocked(d, p)
		ok = false
	}
	return p.to, ok
}

// kept notes that h is here now, and whether as one of its holders or in another's place.
func (s *Set) kept(h mh.Multihash, seated bool) {
	x, d := s.hand, digestOfHash(h)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forgetLocked(string(h))
	if p, ok := x.pointers[d]; ok {
		x.dropLocked(d, p)
	}
	switch {
	case seated:
		delete(x.stands, d)
	case len(x.stands) < maxPointers && !s.cfg.NoHandoff:
		x.stands[d] = time.Now().Add(s.pointTime())
	}
}

// standing reports whether the block is kept here in the place of another.
func (x *handoff) standing(d digest) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return lasts(x.stands, d)
}

// lasts reports whether the time of d in until is not over; if it is, d goes.
func lasts(until map[digest]time.Time, d digest) bool {
	end, ok := until[d]
	if ok && time.Now().After(end) {
		delete(until, d)
		ok = false
	}
	return ok
}

// refusedBy notes that p has no room for h: it said so, or was seen without it for the second
// time. It counts for twice as long each time.
func (s *Set) refusedBy(p peer.ID, d digest, told bool) {
	if s.cfg.NoHandoff {
		return
	}
	flagged, _ := s.router.Flagged(p)
	wait := s.cfg.Every + s.jitter(s.cfg.Every/4)
	x := s.hand
	x.mu.Lock()
	defer x.mu.Unlock()
	k := refusalOf{p, d}
	old, ok := x.refusals[k]
	switch now := time.Now(); {
	case !ok && len(x.refusals) >= maxRefusals:
	case !ok && !told && !flagged: // it may be about to get it
		x.refusals[k] = refusal{until: now}
	default:
		x.refusals[k] = refusal{until: now.Add(wait << min(old.tries, maxPatient)), told: told || old.told, flagged: flagged, tries: old.tries + 1}
	}
}

// hasRefused reports whether p has no room for the block, as far as is known: by what it
// said, or, unless told asks for that, by what it was seen to lack. Who says that it has
// room again is believed.
func (s *Set) hasRefused(p peer.ID, d digest, told bool) bool {
	k, x := refusalOf{p, d}, s.hand
	x.mu.Lock()
	_, ok := x.refusals[k]
	x.mu.Unlock()
	if !ok {
		return false
	}
	flagged, _ := s.router.Flagged(p)
	x.mu.Lock()
	defer x.mu.Unlock()
	r, now := x.refusals[k], time.Now()
	switch {
	case r.flagged && !flagged:
		delete(x.refusals, k)
		return false
	case flagged && !r.flagged:
		r.flagged = true
		x.refusals[k] = r
	}
	if now.After(r.until) {
		if now.Sub(r.until) > rememberTimes*s.cfg.Every<<maxPatient {
			delete(x.refusals, k)
		}
		return false
	}
	return r.told || !told
}

// tookIt notes that p has the block after all, and reports whether it was taken to have no
// room for it.
func (x *handoff) tookIt(p peer.ID, d digest) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := refusalOf{p, d}
	_, ok := x.refusals[k]
	delete(x.refusals, k)
	return ok
}

// unpoint ends that p is taken to keep the block in another's place.
func (x *handoff) unpoint(p peer.ID, d digest) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if q, ok := x.pointers[d]; ok && q.to == p {
		x.dropLocked(d, q)
	}
}

// handing finds who took what was refused here, until ctx is done.
func (s *Set) handing(ctx context.Context) error {
	if s.cfg.NoHandoff {
		return nil
	}
	for sleep(ctx, s.cfg.AfterChange) {
		if err := s.findTakers(ctx); err != nil && ctx.Err() == nil {
			s.log.Debug("not found who took what was refused", "err", err)
		}
		s.hand.tidy(time.Now(), rememberTimes*s.cfg.Every<<maxPatient)
	}
	return nil
}

// findTakers asks the next closest of the blocks refused here which of them they hold.
func (s *Set) findTakers(ctx context.Context) error {
	now := time.Now()
	var due []*sent
	s.hand.mu.Lock()
	for _, o := range s.hand.asked {
		if !o.at.After(now) {
			due = append(due, o)
		}
	}
	s.hand.mu.Unlock()
	slices.SortFunc(due, func(a, b *sent) int { return slices.Compare(a.hash, b.hash) })
	for part := range slices.Chunk(due, batch) {
		x := s.begin()
		asks, os, next := map[peer.ID][]*owed{}, make([]*owed, len(part)), make([][]peer.ID, len(part))
		for i, o := range part {
			os[i] = &owed{hash: o.hash, has: map[peer.ID]wire.State{}}
			near, _, err := s.closest(ctx, o.hash, o.publisher, o.r)
			if err != nil {
				continue
			}
			if !slices.Contains(near[:min(o.r, len(near))], s.self) {
				o.tries = pointTries // it is not for this peer to say
				continue
			}
			for _, p := range near[min(o.r, len(near)):] {
				if p != s.self {
					next[i] = append(next[i], p)
					asks[p] = append(asks[p], os[i])
				}
			}
		}
		if err := x.askAll(ctx, asks); err != nil {
			return err
		}
		s.hand.mu.Lock()
		for i, o := range part {
			at := slices.IndexFunc(next[i], func(p peer.ID) bool { return os[i].has[p] == wire.Held })
			switch o.tries++; {
			case s.hand.asked[string(o.hash)] != o: // it came after all
			case at >= 0:
				s.hand.forgetLocked(string(o.hash))
				s.hand.pointLocked(digestOfHash(o.hash), next[i][at], true, s.pointTime())
			case o.tries >= pointTries:
				s.hand.forgetLocked(string(o.hash))
			default:
				o.at = time.Now().Add(s.cfg.AfterChange << o.tries)
			}
		}
		s.hand.mu.Unlock()
	}
	return nil
}

// tidy forgets what is believed no more, a round at a time.
func (x *handoff) tidy(now time.Time, after time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for d, p := range x.pointers {
		if now.Unix() >= p.until {
			x.dropLocked(d, p)
		}
	}
	for k, r := range x.refusals {
		if now.Sub(r.until) > after {
			delete(x.refusals, k)
		}
	}
	for d, until := range x.cooling {
		if now.After(until) {
			delete(x.cooling, d)
		}
	}
	for d, until := range x.stands {
		if now.After(until) {
			delete(x.stands, d)
		}
	}
}

// HandedOff is what is remembered of blocks for which some peer has no room.
type HandedOff struct {
	Pointers int // to who keeps a block in this or another's place
	Refused  int // blocks that others refused, each counted for each of those
	Standing int // blocks kept here in the place of others
}

// HandedOff counts what is remembered now.
func (s *Set) HandedOff() HandedOff {
	x := s.hand
	x.mu.Lock()
	defer x.mu.Unlock()
	return HandedOff{len(x.pointers), len(x.refusals), len(x.stands)}
}

// gaveUp reports whether somebody else keeps the block because this peer has no room for it.
func (x *handoff) gaveUp(d digest) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	p, ok := x.pointers[d]
	return ok && p.own && time.Now().Unix() < p.until
}

// names reports whether p is taken to keep the block in another's place.
func (x *handoff) names(p peer.ID, d digest) bool {
	to, ok := x.pointed(d)
	return ok && to == p
}

// keptBy notes that p keeps the block in another's place: it said so itself.
func (s *Set) keptBy(p peer.ID, d digest, own bool) {
	if s.cfg.NoHandoff {
		return
	}
	s.hand.mu.Lock()
	defer s.hand.mu.Unlock()
	s.hand.pointLocked(d, p, own, s.pointTime())
}

// fullAmong is how many of ps say that they have no room.
func (s *Set) fullAmong(ps []peer.ID) (n int) {
	if s.cfg.NoHandoff {
		return 0
	}
	for _, p := range ps {
		if full, _ := s.router.Flagged(p); full {
			n++
		}
	}
	return n
}

// keepers gives who keeps the block at k together, of near, the closest to it: the r
// closest without those that have no room for it, and who is known to stand in for one; and
// whether this peer is one of them.
func (s *Set) keepers(k keyspace.Key, near []peer.ID, r int) (out []peer.ID, mine bool) {
	d := digestOf(k)
	for _, p := range near {
		if len(out) < r && (p == s.self || !s.hasRefused(p, d, false)) {
			out = append(out, p)
		}
	}
	mine = slices.Contains(out, s.self) || slices.Contains(near, s.self) && s.hand.standing(d)
	if p, ok := s.hand.pointed(d); ok && slices.Contains(near, p) && !slices.Contains(out, p) {
		out = append(out, p)
	}
	return out, mine
}

// wants leaves out of keys, which p has listed, what is not to be fetched: what is here, so
// that p has found room for it or stands in for somebody, and what there was no room for here.
func (s *Set) wants(p peer.ID, sh *shared, keys []rbsr.Key) (out []rbsr.Key) {
	for _, k := range keys {
		d := digestOf(keyspace.Key(k))
		switch _, here := sh.hashes[k]; {
		case here:
			if !s.hand.tookIt(p, d) {
				s.keptBy(p, d, false)
			}
		case !s.hand.gaveUp(d):
			out = append(out, k)
		}
	}
	return out
}
