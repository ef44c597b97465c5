package replica_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// settled waits until what was put has been examined, and forgets what that cost.
func (w *swarm) settled() {
	time.Sleep(2 * time.Minute)
	w.counts()
}

// Where nobody comes or goes a round asks nobody anything. The control looks at every
// block in every round, as rounds once did.
func TestARoundWithoutChangeCostsNothing(t *testing.T) {
	for name, full := range map[string]time.Duration{"by change": 24 * time.Hour, "control": -1} {
		synctest.Test(t, func(t *testing.T) {
			cfg := inAHurry()
			cfg.Full = full
			w := newSwarm(t, 30, cfg)
			bs, _ := w.put(300, 100, 5)
			w.settled()
			time.Sleep(4 * time.Minute) // 24 rounds
			asked, sent, _ := w.counts()
			t.Logf("%s: %d blocks on 30 peers: %.1f keys asked for a round and peer, %d blocks sent", name, len(bs), float64(asked)/24/30, sent)
			if sent != 0 || (asked == 0) != (name == "by change") {
				t.Errorf("%s: %d keys asked for, %d blocks sent", name, asked, sent)
			}
		})
	}
}

// One peer dies for good: every copy that it had is made again within seconds of its
// grace, each by one, and only its own blocks are asked about. The control lets
// everybody who has a block offer it at once; that it is not sent as often is due to who
// takes it, and to nobody else.
func TestOneDeathHasOneRepairer(t *testing.T) {
	for name, backup := range map[string]time.Duration{"elected": 2 * time.Second, "control": -1} {
		synctest.Test(t, func(t *testing.T) {
			cfg := inAHurry()
			cfg.Full, cfg.Backup = 24*time.Hour, backup
			w := newSwarm(t, 40, cfg)
			bs, _ := w.put(800, 100, 5)
			w.settled()
			dead := w.order[7]
			had := int(w.nodes[dead].mem.Count())
			w.leave(dead)
			time.Sleep(w.grace - time.Second)
			if _, sent, _ := w.counts(); sent != 0 {
				t.Errorf("%d blocks sent within the grace", sent)
			}
			time.Sleep(11 * time.Second)
			if n := w.misplaced(bs, 5); n != 0 && name == "elected" {
				t.Errorf("%d blocks are not where they belong 10 s after the grace", n)
			}
			time.Sleep(time.Minute)
			w.mu.Lock()
			vain := w.vain
			w.mu.Unlock()
			asked, sent, twice := w.counts()
			t.Logf("%s: %d of %d blocks had a copy there: %d sent, %d twice, %d offered in vain, %d keys asked for", name, had, len(bs), sent, twice, vain, asked)
			if name == "control" {
				if vain <= sent {
					t.Error("few offers in vain without an election: this test cannot fail")
				}
				return
			}
			if twice*20 > sent || vain*20 > sent || sent < had {
				t.Errorf("%d sent, %d of those twice, and %d offered in vain, for %d copies", sent, twice, vain, had)
			}
			time.Sleep(10 * time.Minute)
			if asked, sent, _ := w.counts(); asked != 0 || sent != 0 {
				t.Errorf("afterwards %d keys asked for, %d blocks sent", asked, sent)
			}
		})
	}
}

// The closest holder is there, says that it has the block, and gives it to nobody:
// the next one does, after its wait. The control waits for ever.
func TestTheNextHolderDoesWhatTheClosestDoesNot(t *testing.T) {
	for name, backup := range map[string]time.Duration{"backup": 2 * time.Second, "control": 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			cfg := inAHurry()
			cfg.Full, cfg.Backup = 24*time.Hour, backup
			w := newSwarm(t, 20, cfg)
			bs, _ := w.put(1, 100, 5)
			w.settled()
			near := keyspace.Nearest(keyspace.OfHash(bs[0].Hash()), w.order, 6)
			w.mu.Lock()
			w.nodes[near[0]].hung = true
			w.mu.Unlock()
			w.leave(near[2])
			time.Sleep(w.grace + 8*time.Second) // its wait, the time to a round, and some jitter
			if got := w.holds(near[5], bs[0]); got != (name == "backup") {
				t.Errorf("%s: the sixth closest holds it: %t", name, got)
			}
		})
	}
}

// A peer that comes and goes within its grace moves nothing, however often. The control
// has no grace.
func TestAFlappingPeerMovesNothing(t *testing.T) {
	times := 100
	if testing.Short() {
		times = 20
	}
	for name, grace := range map[string]time.Duration{"grace": 10 * time.Second, "control": 0} {
		synctest.Test(t, func(t *testing.T) {
			cfg := inAHurry()
			w := newSwarm(t, 20, cfg)
			w.grace = grace
			bs, _ := w.put(150, 100, 5)
			w.settled()
			p := w.order[3]
			for range times {
				w.leave(p)
				time.Sleep(4 * time.Second)
				w.join(p)
				time.Sleep(4 * time.Second)
			}
			asked, sent, _ := w.counts()
			t.Logf("%s: %d blocks, %d there, %d times: %d sent, %d keys asked for", name, len(bs), w.nodes[p].mem.Count(), times, sent, asked)
			if (sent == 0) != (name == "grace") {
				t.Errorf("%s: %d blocks sent", name, sent)
			}
		})
	}
}

// Every peer is restarted, one after the other, within its grace.
func TestARollingRestartMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSwarm(t, 20, inAHurry())
		bs, _ := w.put(300, 100, 5)
		w.settled()
		for _, p := range slices.Clone(w.order) {
			w.leave(p)
			time.Sleep(5 * time.Second)
			w.join(p)
			time.Sleep(5 * time.Second)
		}
		time.Sleep(2 * time.Minute)
		asked, sent, _ := w.counts()
		t.Logf("20 restarts: %d of %d copies sent, %d keys asked for", sent, 5*len(bs), asked)
		if sent != 0 {
			t.Errorf("%d copies sent", sent)
		}
	})
}

// Who takes itself for cut off makes no copies for as long as the brake says, but of
// blocks of which two are left it makes them at once. The control has no brake.
func TestTheBrakeHoldsAllButTheUrgent(t *testing.T) {
	for name, brake := range map[string]time.Duration{"brake": 10 * time.Minute, "control": -1} {
		synctest.Test(t, func(t *testing.T) {
			cfg := inAHurry()
			cfg.Brake, cfg.Full = brake, time.Minute
			w := newSwarm(t, 30, cfg)
			bs, _ := w.put(400, 100, 5)
			w.settled()
			dead := map[peer.ID]bool{}
			for _, p := range w.order[:8] {
				dead[p] = true
				w.leave(p)
			}
			few, many := 0, 0 // blocks that have lost three copies and more; one or two
			for _, b := range bs {
				lost := 0
				for _, p := range keyspace.Nearest(keyspace.OfHash(b.Hash()), w.order, 5) {
					if dead[p] {
						lost++
					}
				}
				switch {
				case lost >= 3 && lost < 5:
					few++
				case lost > 0 && lost < 3:
					many++
				}
			}
			w.mu.Lock()
			for _, m := range w.nodes {
				m.cutOff = true
			}
			w.mu.Unlock()
			time.Sleep(time.Minute)
			w.mu.Lock()
			urgent, calm := map[string]bool{}, map[string]bool{}
			for _, h := range w.first {
				lost := 0
				for _, p := range keyspace.Nearest(keyspace.OfHash(h), w.order, 5) {
					if dead[p] {
						lost++
					}
				}
				if lost >= 3 {
					urgent[string(h)] = true
				} else {
					calm[string(h)] = true
				}
			}
			w.mu.Unlock()
			t.Logf("%s: of %d blocks with few copies %d were given, of %d with enough %d", name, few, len(urgent), many, len(calm))
			if len(urgent) != few || few == 0 {
				t.Errorf("%d of %d urgent blocks were given", len(urgent), few)
			}
			if (len(calm) == 0) != (name == "brake") || many == 0 {
				t.Errorf("%s: %d of %d other blocks were given", name, len(calm), many)
			}
			w.mu.Lock()
			for _, m := range w.nodes {
				m.cutOff = false
			}
			w.mu.Unlock()
			time.Sleep(12 * time.Minute)
			left := 0 // what all five holders took with them
			for _, b := range bs {
				if n, _ := w.copies([]blocks.Block{b}); n > 0 && w.misplaced([]blocks.Block{b}, 5) > 0 {
					left++
				}
			}
			if left != 0 {
				t.Errorf("%d blocks are not where they belong after the brake", left)
			}
		})
	}
}

// Two halves that cannot reach each other copy only what has fewer than three copies on
// their side, and nothing when they are one again.
func TestAPartitionCopiesOnlyTheUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSwarm(t, 30, inAHurry())
		bs, _ := w.put(200, 100, 5)
		w.settled()
		side := func(p peer.ID) int { return slices.Index(w.order, p) % 2 }
		w.part(func(a, b peer.ID) bool { return side(a) != side(b) })
		time.Sleep(5 * time.Minute)
		w.mu.Lock()
		given := len(w.first)
		w.mu.Unlock()
		want := 0 // copies until each side has three, of what it has one or two of
		for _, b := range bs {
			here := 0
			for _, p := range keyspace.Nearest(keyspace.OfHash(b.Hash()), w.order, 5) {
				here += side(p)
			}
			for _, n := range []int{here, 5 - here} {
				if n == 1 || n == 2 { // the lost seats are filled, as each may be the last to come back
					want += 5 - n
				}
			}
		}
		t.Logf("%d blocks: %d copies sent in a partition, of %d that are urgent", len(bs), given, want)
		if given == 0 || given > want {
			t.Errorf("%d copies sent, want at most %d", given, want)
		}
		w.counts()
		w.part(nil)
		time.Sleep(5 * time.Minute)
		if _, sent, _ := w.counts(); sent != 0 || w.misplaced(bs, 5) != 0 {
			t.Errorf("when it was healed %d copies were sent, %d blocks are misplaced", sent, w.misplaced(bs, 5))
		}
	})
}

// Of what is to be given, that with the fewest copies goes first, and what is not urgent
// goes no faster than it may.
func TestTheFewestCopiesGoFirstAndTheOthersNotTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := inAHurry()
		cfg.Rate = 2000 // two blocks a second
		cfg.Full = 24 * time.Hour
		w := newSwarm(t, 6, cfg)
		var bs []blocks.Block
		copiesOf := map[string]int{}
		_, l := w.put(1, 1000, 5)
		w.settled()
		first := w.order[0]
		for i := range 400 { // the first peer has them all, some others have some
			b := blocks.New(cid.Raw, blockstest.Random(uint64(i), 1000))
			bs = append(bs, b)
			near := keyspace.Nearest(keyspace.OfHash(b.Hash()), w.order, 5)
			n := 1 + i%4
			w.lay(first, b, l)
			for _, p := range near {
				if p != first && n > 1 {
					w.lay(p, b, l)
					n--
				}
			}
			for _, p := range near {
				if w.holds(p, b) {
					copiesOf[string(b.Hash())]++
				}
			}
		}
		time.Sleep(13 * time.Second) // they are examined after ten
		w.mu.Lock()
		var fewest, others int
		for _, h := range w.first {
			if copiesOf[string(h)] < 3 {
				fewest++
			} else {
				others++
			}
		}
		w.mu.Unlock()
		t.Logf("after 3 s: %d copies of blocks that had 1 or 2, %d of those that had 3 or 4", fewest, others)
		if fewest < 600 || others == 0 || others > 6*2*(3+2) { // a second's worth more at the start and the end
			t.Errorf("%d urgent copies of 700, %d others", fewest, others)
		}
		began := time.Now()
		for w.misplaced(bs, 5) > 0 {
			if time.Since(began) > 5*time.Minute {
				t.Fatalf("%d blocks are not where they belong", w.misplaced(bs, 5))
			}
			time.Sleep(time.Second)
		}
		t.Logf("all after %v", time.Since(began))
	})
}

// What closer peers hold is kept a while, and let go when they have proved it. With a
// holder whose proofs are false nothing is let go, and without the mechanism neither.
func TestSurplusIsLetGoWhenItIsProvedElsewhere(t *testing.T) {
	for _, c := range []struct {
		name    string
		surplus time.Duration
		liars   int
		gone    bool
	}{{"proved", 10 * time.Minute, 0, true}, {"one proof is false", 10 * time.Minute, 1, false}, {"control", -1, 0, false}} {
		synctest.Test(t, func(t *testing.T) {
			cfg := inAHurry()
			cfg.Surplus = c.surplus
			w := newSwarm(t, 20, cfg)
			bs, l := w.put(50, 100, 3)
			over := 0
			for i, b := range bs { // one more, at the fourth or fifth closest
				near := keyspace.Nearest(keyspace.OfHash(b.Hash()), w.order, 5)
				w.lay(near[3+i%2], b, l)
				over++
			}
			if c.liars > 0 {
				w.mu.Lock()
				for _, m := range w.nodes {
					m.liar = true
				}
				w.mu.Unlock()
			}
			time.Sleep(9 * time.Minute)
			if _, all := w.copies(bs); all != 200 {
				t.Fatalf("%s: %d copies before the time, want 200", c.name, all)
			}
			time.Sleep(10 * time.Minute)
			least, all := w.copies(bs)
			w.mu.Lock()
			t.Logf("%s: %d copies, at least %d each; %d challenges", c.name, all, least, w.proofs)
			w.mu.Unlock()
			if least < 3 || (all == 150) != c.gone || !c.gone && all != 200 {
				t.Errorf("%s: %d copies, at least %d each", c.name, all, least)
			}
			if w.misplaced(bs, 3) != 0 {
				t.Errorf("%s: a holder of right let go", c.name)
			}
		})
	}
}

// Whatever joins and leaves, and however soon surplus is let go, no block falls below its
// copies while nobody dies.
func TestSurplusIsNeverTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := inAHurry()
		cfg.Surplus, cfg.Full = time.Second, 10*time.Second
		w := newSwarm(t, 10, cfg)
		bs, _ := w.put(100, 100, 3)
		w.settled()
		for i := range 20 {
			w.join(peer.ID(fmt.Sprintf("newcomer-%02d", i)))
			for range 20 {
				time.Sleep(time.Second)
				if least, _ := w.copies(bs); least < 3 {
					t.Fatalf("a block has %d copies after newcomer %d", least, i)
				}
			}
		}
		time.Sleep(2 * time.Minute)
		least, all := w.copies(bs)
		t.Logf("after 20 newcomers: %d copies of %d blocks, at least %d", all, len(bs), least)
		if all != 3*len(bs) || w.misplaced(bs, 3) != 0 {
			t.Errorf("%d copies, %d blocks misplaced", all, w.misplaced(bs, 3))
		}
	})
}

// Who has no room is passed over for the next closest; when it says so is enough.
func TestTheNextClosestHoldsForWhoIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := inAHurry()
		w := newSwarm(t, 12, cfg)
		bs, _ := w.put(100, 100, 5)
		w.settled()
		near := keyspace.Nearest(keyspace.OfHash(bs[0].Hash()), w.order, 6)
		full, dead := near[5], near[0] // the one is to hold what the other had
		w.mu.Lock()
		w.nodes[full].limit = 1
		w.mu.Unlock()
		w.leave(dead)
		time.Sleep(time.Minute)
		if w.misplaced(bs, 5) == 0 {
			t.Error("nothing was to be held by the one without room: this test cannot fail")
		}
		if least, _ := w.copies(bs); least < 5 {
			t.Errorf("a block has %d copies", least)
		}
	})
}

// A young peer is given what few have, and the rest when it is no longer young.
func TestYoungPeersAreGivenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := inAHurry()
		w := newSwarm(t, 12, cfg)
		bs, _ := w.put(100, 100, 5)
		w.settled()
		m := w.joinAs("young", true)
		time.Sleep(30 * time.Second)
		if n := m.mem.Count(); n != 0 {
			t.Errorf("%d blocks while it is young", n)
		}
		w.mu.Lock()
		m.young = false
		w.mu.Unlock()
		time.Sleep(time.Minute)
		if n := w.misplaced(bs, 5); n != 0 {
			t.Errorf("%d blocks misplaced when it is not", n)
		}
	})
}

// What is missing is counted while it is missing, and how long it was.
func TestWhatIsMissingIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := inAHurry()
		var mu sync.Mutex
		var took []time.Duration // guarded by mu
		cfg.Restored = func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			took = append(took, d)
		}
		cfg.Rate = 1000
		w := newSwarm(t, 2, cfg)
		bs, l := w.put(1, 500, 2)
		for i := range 20 {
			b := blocks.New(cid.Raw, blockstest.Random(uint64(i), 500))
			bs = append(bs, b)
			w.lay(w.order[0], b, l)
		}
		first := w.nodes[w.order[0]].set
		w.mu.Lock()
		w.nodes[w.order[1]].hung = true
		w.mu.Unlock()
		time.Sleep(13 * time.Second)
		if s := first.Short(); s.Blocks != 20 || s.Copies != 20 {
			t.Errorf("missing: %+v", s)
		}
		w.mu.Lock()
		w.nodes[w.order[1]].hung = false
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if s := first.Short(); s != (replica.Shortage{}) || len(took) != 20 || took[0] < time.Second {
			t.Errorf("afterwards %+v is missing, %d blocks took %v", s, len(took), took)
		}
		if w.misplaced(bs, 2) != 0 {
			t.Error("not all are there")
		}
	})
}

// What is forgotten is no surplus any more: else the blocks that a peer notes as surplus
// would fill up with those that it had long ago. The control forgets nothing.
func TestWhatIsForgottenIsNoSurplus(t *testing.T) {
	for _, forget := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newSwarm(t, 8, inAHurry())
			bs, l := w.put(1, 100, 3)
			at := keyspace.Nearest(keyspace.OfHash(bs[0].Hash()), w.order, 5)[4]
			w.lay(at, bs[0], l)
			time.Sleep(2 * time.Minute)
			m := w.nodes[at]
			if n := m.set.Surplus(); n != 1 {
				t.Fatalf("%d blocks are surplus, want 1", n)
			}
			if forget {
				if err := m.mem.Release(t.Context(), l.ID(), bs[0].Hash()); err != nil {
					t.Fatal(err)
				}
				if gone, err := m.set.Forget(t.Context(), bs[0].Hash()); len(gone) != 1 || err != nil {
					t.Fatalf("%d blocks forgotten, %v", len(gone), err)
				}
			}
			if n := m.set.Surplus(); (n == 0) != forget {
				t.Errorf("forgotten: %t, but %d blocks are surplus", forget, n)
			}
		})
	}
}
