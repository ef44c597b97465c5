package replica

import (
	"iter"
	"slices"
	"time"

	mh "github.com/multiformats/go-multihash"
)

// maxNoted bounds the blocks of which something is remembered. Of what is beyond it
// only that there is something, and the next round looks at all.
const maxNoted = 1 << 16

// appointment is when a block is to be examined, and how.
type appointment struct {
	at     time.Time
	seat   bool // somebody else has a seat than before
	far    bool // it is only to be examined if so few seats are live that others stand in for them
	backup bool // what the closest holder has not done by now, this one does
	tries  int  // that have failed
}

// shortage is how many copies of a block are missing, and since when that is known.
type shortage struct {
	missing int
	since   time.Time
}

// later has hs, which were just placed, examined after the time wait. All their seats are
// new: who brought them may have reached some of the holders only, and the closest of
// these may fail to reach the others, so that the next in rank look as well.
func (s *Set) later(wait time.Duration, hs ...mh.Multihash) {
	for _, h := range hs {
		s.appoint(h, appointment{at: time.Now().Add(wait), seat: true})
	}
}

// appoint has h examined at a time: the earliest that was asked for.
func (s *Set) appoint(h mh.Multihash, a appointment) {
	if s.cfg.NoRepair {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.agenda[string(h)]
	switch {
	case !ok && len(s.agenda) >= maxNoted:
		s.unsure = true
		return
	case ok:
		a.backup, a.seat, a.tries = a.backup || old.backup, a.seat || old.seat, max(a.tries, old.tries)
		if old.at.Before(a.at) {
			a.at = old.at
		}
	}
	s.agenda[string(h)] = a
	if soonest := s.soonest(); a.at.Before(s.roundAt) && soonest.Before(s.roundAt) {
		select {
		case s.stir <- struct{}{}:
		default:
		}
	}
}

// soonest is the earliest that a round begins from now: those of about the same time are
// examined together.
func (s *Set) soonest() time.Time { return time.Now().Add(s.cfg.AfterChange / 4) }

// retry has h examined again, later each time.
func (s *Set) retry(h mh.Multihash, a appointment) {
	wait := min(s.cfg.AfterChange<<min(a.tries, 10), s.cfg.Every)
	s.appoint(h, appointment{at: time.Now().Add(wait + s.jitter(wait/2)), seat: a.seat, backup: a.backup, tries: a.tries + 1})
}

// nextDue is when the next block is to be examined, or latest. What is appointed earlier
// than that stirs the rounds.
func (s *Set) nextDue(latest time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.agenda {
		if a.at.Before(latest) {
			latest = a.at
		}
	}
	if soonest := s.soonest(); latest.Before(soonest) {
		latest = soonest
	}
	s.roundAt = latest
	return latest
}

// takeDue gives the blocks whose time has come, in order.
func (s *Set) takeDue(now time.Time) iter.Seq2[string, appointment] {
	due := map[string]appointment{}
	var keys []string
	s.mu.Lock()
	for h, a := range s.agenda {
		if !a.at.After(now) {
			due[h] = a
			keys = append(keys, h)
			delete(s.agenda, h)
		}
	}
	s.mu.Unlock()
	slices.Sort(keys)
	return func(yield func(string, appointment) bool) {
		for _, h := range keys {
			if !yield(h, due[h]) {
				return
			}
		}
	}
}

// allUnsure has the next round look at every block.
func (s *Set) allUnsure() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsure = true
}

// lacks notes that h lacks copies, and gives since when.
func (s *Set) lacks(h mh.Multihash, missing int) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.short[string(h)]
	if !ok {
		old.since = time.Now()
	}
	if ok || len(s.short) < maxNoted {
		s.short[string(h)] = shortage{missing, old.since}
	}
	return old.since
}

// whole notes that h lacks nothing that this peer is to give.
func (s *Set) whole(h mh.Multihash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.short, string(h))
}

// Shortage is what this peer knows to be missing and is to make good.
type Shortage struct {
	Blocks int64 // that lack copies
	Copies int64 // that they lack
	Queued int64 // of the blocks, whose copies wait for their turn
}

// Short is what is missing now, as far as this peer is to care for it.
func (s *Set) Short() (out Shortage) {
	out.Queued = int64(s.urgent.len() + s.calm.len())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.short {
		out.Blocks++
		out.Copies += int64(one.missing)
	}
	return out
}
