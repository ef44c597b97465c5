package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// jobOf is a placement of n blocks with r copies that nothing works at.
func jobOf(n, r int) *Job {
	s := New("", nil, nil, nil, nil, Config{})
	return s.Queue(blocks.Lease{R: r}, blocks.Pin{Blocks: n})
}

// What is said of a placement while it goes on is what is seen when every block is looked at.
func TestProgressIsWhatACountOfTheBlocksSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n, r = 30, 3
	j := jobOf(n, r)
	near := []peer.ID{"a", "b", "c", "d", "e"}
	for step := range 2000 {
		h := mh.Multihash(fmt.Sprint(rng.IntN(n - 1))) // one is never looked at
		now := slices.Clone(near)
		rng.Shuffle(len(now), func(i, k int) { now[i], now[k] = now[k], now[i] })
		j.note(h, now[:3+rng.IntN(3)], len(near))
		if p := near[rng.IntN(len(near))]; !j.has(h, p) && rng.IntN(2) == 0 {
			j.ack(h, p)
		}
		for _, w := range []blocks.Wait{blocks.WaitLocal, blocks.WaitQuorum, blocks.WaitFull} {
			copies, safe, least := make([]int, r+1), 0, r
			for _, who := range j.acks {
				copies[min(len(who), r)]++
				if len(who) >= w.Want(r, j.members) {
					safe++
				} else {
					least = min(least, len(who))
				}
			}
			copies[0] += n - len(j.acks)
			p, short := j.progress(w), j.lacking(w)
			if p.Safe != safe || !slices.Equal(p.Copies, copies) || p.Blocks != n {
				t.Fatalf("step %d, %s: %d safe and %v, but there are %d and %v", step, w, p.Safe, p.Copies, safe, copies)
			}
			if short.Short != n-safe || short.Have != 0 || least < 0 {
				t.Fatalf("step %d, %s: %d short, want %d; worst %d, want 0 of the one not looked at", step, w, short.Short, n-safe, short.Have)
			}
		}
	}
}

// Progress is asked for at every ack: a put of many blocks would never end if that looked at
// each of them. The control is to look at each of them.
func TestProgressOfALargePutCostsWhatASmallOneDoes(t *testing.T) {
	cost := func(n int, look func(*Job)) time.Duration {
		j := jobOf(n, 5)
		for i := range n {
			h := mh.Multihash(fmt.Sprintf("%034d", i))
			j.note(h, nil, 10)
			j.ack(h, "a")
		}
		best := time.Hour
		for range 20 { // the best of few may be one that had to wait for the processor
			began := time.Now()
			for range 5 {
				look(j)
			}
			best = min(best, time.Since(began))
		}
		return best
	}
	for name, tt := range map[string]struct {
		look func(*Job)
		same bool
	}{
		"progress": {func(j *Job) { j.progress(blocks.WaitQuorum) }, true},
		"control":  {func(j *Job) { j.lacking(blocks.WaitQuorum) }, false},
	} {
		small, large := cost(100, tt.look), cost(50_000, tt.look)
		t.Logf("%s: %s for 5 looks at a put of 100 blocks, %s at one of 50,000", name, small, large)
		if (large < 10*small) != tt.same {
			t.Errorf("%s: %s and %s", name, small, large)
		}
	}
}
