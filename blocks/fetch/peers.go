package fetch

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	recent     = 32                     // answers of a peer that are remembered
	enough     = 8                      // answers after which they say something of the next
	likelySize = 1 << 20                // bytes of a block whose size is not known yet
	likelyRate = 32 << 20               // bytes a second of a peer that is not known yet
	backFirst  = 500 * time.Millisecond // that a peer which failed is asked after the others; doubled each time
	backMost   = time.Minute
	hedgeShare = 10      // of the bytes that came, one in so many may have been asked for twice
	hedgeFree  = 8 << 20 // and so many bytes besides
)

// standing is what is known of every peer that was asked: how much is on its way from
// it, how fast it comes, how long an answer takes, and whether it failed of late. It
// also keeps account of what is asked for twice.
type standing struct {
	mu    sync.Mutex
	rand  *rand.Rand          // guarded by mu
	m     map[peer.ID]*record // guarded by mu
	came  int64               // guarded by mu: bytes
	twice int64               // guarded by mu: bytes that were asked of a second peer
}

type record struct {
	open   int             // questions without an answer
	rate   float64         // bytes a second, smoothed
	mark   time.Time       // since when the next bytes are measured
	took   []time.Duration // the last answers with a block, oldest first
	failed int             // times in a row
	back   time.Time       // asked after the others until then
}

func newStanding(r *rand.Rand) *standing { return &standing{rand: r, m: map[peer.ID]*record{}} }

func (s *standing) of(p peer.ID) *record {
	r := s.m[p]
	if r == nil {
		if len(s.m) > 4096 {
			clear(s.m) // of so many nothing is worth to be remembered
		}
		r = &record{rate: likelyRate}
		s.m[p] = r
	}
	return r
}

// order brings the better of two of the first few of ps to the front, so that load is
// spread without everybody running to the same one, and puts those that failed behind.
func (s *standing) order(ps []peer.ID, few int) []peer.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, out := time.Now(), slices.Clone(ps)
	slices.SortStableFunc(out, func(a, b peer.ID) int { return s.isBack(a, now) - s.isBack(b, now) })
	n := 0
	for n < len(out) && n < few && s.isBack(out[n], now) == 0 {
		n++
	}
	if n < 2 {
		return out
	}
	i, j := s.rand.IntN(n), s.rand.IntN(n)
	if s.cost(out[j]) < s.cost(out[i]) {
		i = j
	}
	best := out[i]
	return slices.Insert(slices.Delete(out, i, i+1), 0, best)
}

func (s *standing) isBack(p peer.ID, now time.Time) int {
	if r := s.m[p]; r != nil && now.Before(r.back) {
		return 1
	}
	return 0
}

// cost is the time until one more block would be here, in seconds.
func (s *standing) cost(p peer.ID) float64 {
	r := s.of(p)
	return float64(r.open+1)*likelySize/r.rate + r.least().Seconds()
}

// least is the fastest answer that is remembered: the way there and back.
func (r *record) least() time.Duration {
	if len(r.took) == 0 {
		return 0
	}
	return slices.Min(r.took)
}

// patience is how long to wait for p before somebody else is asked as well.
func (s *standing) patience(p peer.ID, unknown time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(p)
	if len(r.took) < enough {
		return unknown
	}
	sorted := slices.Sorted(slices.Values(r.took))
	return max(3*sorted[0]+10*time.Millisecond, sorted[len(sorted)*95/100])
}

// asked notes a question to p.
func (s *standing) asked(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(p)
	if r.open++; r.open == 1 {
		r.mark = time.Now()
	}
}

// mayHedge reports whether one more block may be asked for twice, and enters it.
func (s *standing) mayHedge() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.twice+likelySize > s.came/hedgeShare+hedgeFree {
		return false
	}
	s.twice += likelySize
	return true
}

// gave notes a block of size bytes that p gave after took.
func (s *standing) gave(p peer.ID, size int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(p)
	now := time.Now()
	if dt := now.Sub(r.mark).Seconds(); dt > 0 {
		r.rate += (float64(size)/dt - r.rate) / 8
	}
	r.mark = now
	if r.took = append(r.took, took); len(r.took) > recent {
		r.took = r.took[1:]
	}
	r.open, r.failed, r.back = max(r.open-1, 0), 0, time.Time{}
	s.came += int64(size)
}

// lacked notes that p has not got a block: that is an answer.
func (s *standing) lacked(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(p)
	r.open = max(r.open-1, 0)
}

// failure notes that p failed, or was slower than the one asked after it.
func (s *standing) failure(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(p)
	r.open = max(r.open-1, 0)
	if now := time.Now(); now.After(r.back) {
		r.back = now.Add(min(backFirst<<min(r.failed, 10), backMost))
		r.failed++
	}
}
