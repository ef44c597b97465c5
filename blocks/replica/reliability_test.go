package replica_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/replica/replicatest"
)

// sheet takes down the figures of the scenarios.
type sheet struct {
	long    bool   // the full size: make reliability
	seed    uint64 // of the first run; the others count on from it
	figures []replicatest.Figure
}

// add prints a figure. One that is not as it should be is an error.
func (s *sheet) add(t *testing.T, f replicatest.Figure) {
	t.Helper()
	s.figures = append(s.figures, f)
	fmt.Println(f)
	if !f.Met() {
		t.Errorf("missed: %s; again with CAIRN_REL_SEED=%d", f, s.seed)
	}
}

// pick is small in every test run and full in make reliability.
func pick[T any](s *sheet, small, full T) T {
	if s.long {
		return full
	}
	return small
}

const head = `# Reliability, in virtual time

Real keeping logic (placement, admission, repair, comparisons, audits) over a network that is not: members that learn of
deaths and joins late, lines with latency and a bandwidth, 64-byte blocks that count as 256 KiB on the line. Each scenario
has a control: without repair it must lose blocks or leave seats empty, without grace it must send copies, without audits
a loss is not found. S-03-libp2p is whole peers: libp2p, kad-dht and all protocols over simulated links. Written by

    make reliability

and one scenario alone by ` + "`make reliability ONLY=S-02`" + `; another seed by ` + "`CAIRN_REL_SEED=7`" + `. What dies and
when follows from the seed; bytes and repair times hang a little on what goroutines do at the same instant.
The arithmetic is that of package blocks/replica/replicatest, chance.go.

Repair times are from when the rules ask for the copy: for the seat of one that died from the end of the grace, for a
newcomer's from when the first other knows it. Beside them stands the time from the first knowledge, in which the grace
is. A seat that passed to somebody else before it was filled is in neither; one that is still open at the end is in the
rows of seats without their copy. Members go at a steady rate (lifetimes are exponential).

S-05: where nets do not matter (profiles lan, private and testnet) who holds a block follows from keys alone, so a region is
so many members drawn at random, and the arithmetic is that of S-01. In a public network holders are chosen by their nets
too (docs/adr/0013-nets.md): each region is a /16 here, of which two holders count. Of 2,000 ways to spread the members over
the regions the one is taken in which a region has the most blocks to itself, and that one dies; the control is the same
death where nets do not matter. The last rows are what the rule costs, beside the arithmetic, for some ways in which members
may be spread over nets.

S-09: of two members one of whose directions is dead neither can bring the other anything. A seat that none of the block's
holders reaches stays empty, and is counted apart from those that one of them could fill.

S-12-idle counts the bytes of messages, with the wire's framing, and not those of QUIC or TCP below it.`

// The reliability scenarios, each with its control. CAIRN_REL=1 runs them in full size,
// CAIRN_REL_TABLE names the file that takes the table, CAIRN_REL_SEED is the first seed.
func TestReliability(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; the rest of the package has the same code raced")
	}
	s := &sheet{long: os.Getenv("CAIRN_REL") != "", seed: 1}
	if v := os.Getenv("CAIRN_REL_SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		s.seed = seed
	}
	for _, x := range []struct {
		id  string
		run func(*testing.T, *sheet, string)
	}{
		{"S-01", killAtOnce}, {"S-02", waves}, {"S-02-G30", waves}, {"S-03", churn}, {"S-03-G30", churn},
		{"S-03-5", churn}, {"S-03-30", churn}, {"S-03-all", churn}, {"S-03-testnet", churn}, {"S-04", partition}, {"S-05", region},
		{"S-07", silentLoss}, {"S-07-honest", honestHour},
		{"S-08-S-09", poorLines}, {"S-10", flashCrowd}, {"S-11", joinStorm}, {"S-12", restarts}, {"S-12-idle", idle}, {"S-14", putInChurn},
	} {
		t.Run(x.id, func(t *testing.T) { x.run(t, s, x.id) })
	}
	if path := os.Getenv("CAIRN_REL_TABLE"); path != "" {
		if err := replicatest.Table(path, head, s.figures); err != nil {
			t.Fatal(err)
		}
	}
}

// inWorld runs f in a bubble with a network.
func inWorld(t *testing.T, cfg replicatest.Config, f func(*testing.T, *replicatest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := replicatest.New(t.Context(), cfg)
		defer w.Close()
		f(t, w)
	})
}

func fill(t *testing.T, w *replicatest.World, n int) {
	t.Helper()
	if err := w.Fill(n); err != nil {
		t.Fatal(err)
	}
}

// S-01: some of the members die at once, before anybody repairs. It is placement alone
// that decides, and the mean of many kills is what arithmetic says. The control has one
// copy less than it says, and shows.
func killAtOnce(t *testing.T, s *sheet, id string) {
	const n, count = 200, 10_000
	draws := pick(s, 200, 10_000)
	near := ring(n, count, 12, s.seed)
	told := false
	for _, r := range []int{3, 5, 8, 12} {
		for _, percent := range []int{6, 10, 20, 30, 50} {
			k := n * percent / 100
			mean, dev := expected(near, r, n, k)
			got, most, once := kills(near, r, n, k, draws, s.seed)
			band := 3.29 * dev / math.Sqrt(float64(draws))                // holds 999 of 1,000
			band += float64(most) * math.Log(2000) / (3 * float64(draws)) // rare losses come in clusters
			s.add(t, replicatest.Figure{ID: id, Name: fmt.Sprintf("mean lost of 10000, R=%d kill=%d%%, off the expectation", r, percent),
				Value: math.Abs(got - mean), Op: "<=", Target: band, Seed: s.seed,
				Expect: fmt.Sprintf("%.4g ± %.3g a kill; mean of %d kills %.4g, the first %d", mean, dev, draws, got, once)})
			if more, _ := expected(near, r-1, n, k); more-mean > 2*band {
				told = true
				if less, _, _ := kills(near, r-1, n, k, draws, s.seed); math.Abs(less-mean) <= band {
					t.Errorf("control: %d copies lose as many as %d", r-1, r)
				}
			}
		}
	}
	if !told {
		t.Error("no control differs by more than the band: this test cannot fail")
	}
}

// expected is the mean of the blocks lost in one kill and its standard deviation: blocks
// that share their holders die together.
func expected(near [][]int, r, n, k int) (mean, dev float64) {
	who := make([][]int, len(near))
	for i, x := range near {
		who[i] = x[:r]
	}
	return float64(len(near)) * replicatest.AllDead(n, k, r), replicatest.Deviation(who, n, k)
}

// kills counts the blocks lost when k of n members die: on average, at most, at first.
func kills(near [][]int, r, n, k, draws int, seed uint64) (mean float64, most, first int) {
	rng := rand.New(rand.NewPCG(seed, 2))
	dead, order, sum := make([]bool, n), rng.Perm(n), 0
	for d := range draws {
		clear(dead)
		for i := range k {
			j := i + rng.IntN(n-i)
			order[i], order[j] = order[j], order[i]
			dead[order[i]] = true
		}
		lost := 0
	block:
		for _, x := range near {
			for _, m := range x[:r] {
				if !dead[m] {
					continue block
				}
			}
			lost++
		}
		if sum += lost; d == 0 {
			first = lost
		}
		most = max(most, lost)
	}
	return float64(sum) / float64(draws), most, first
}

// S-02: waves of 5 % every 5 minutes, until 30 % are gone. With a grace of 2 minutes
// each wave is repaired before the next; with 30 minutes no seat is filled in time but
// those of blocks with fewer than three live copies. The control repairs nothing.
func waves(t *testing.T, s *sheet, id string) {
	n, count, seeds := pick(s, 100, 200), pick(s, 1_000, 10_000), pick(s, 1, 20)
	const rounds, every = 6, 5 * time.Minute
	percent := pick(s, 10, 5) // of each wave; the few blocks of the small size need more to lose any
	k := n * percent / 100
	run := func(seed uint64, grace time.Duration, off bool) (lost int, tally replicatest.Tally) {
		cfg := replicatest.Config{N: n, Seed: seed, Grace: grace, Set: replica.Config{NoRepair: off}}
		inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
			fill(t, w, count)
			w.Run(time.Minute)
			for range rounds {
				for _, m := range w.Draw(k) {
					w.Kill(m)
				}
				w.Run(every)
			}
			w.Run(10 * time.Minute)
			if lost, tally = w.Lost(), w.Tally(); !off && grace < every && w.Short() > 0 {
				t.Errorf("seed %d: %d blocks are not on their closest at the end", seed, w.Short())
			}
		})
		return lost, tally
	}
	type variant struct {
		name  string
		grace time.Duration
		off   bool
		stay  int // waves for which a seat is empty
	}
	variants := []variant{{"grace 2 min", 2 * time.Minute, false, 0}, {"control, no repair", 2 * time.Minute, true, rounds}}
	if id == "S-02-G30" {
		variants = []variant{{"grace 30 min", 30 * time.Minute, false, rounds}}
	}
	for _, x := range variants {
		low := blocks.Quorum
		if x.off {
			low = 0
		}
		clean, sum, sent, needed := 0, 0, 0, 0
		for i := range seeds {
			lost, tally := run(s.seed+uint64(i), x.grace, x.off)
			if sum += lost; lost == 0 {
				clean++
			}
			sent, needed = sent+tally.Sent, needed+tally.Needed
		}
		mean := float64(sum) / float64(seeds)
		expect := float64(count) * replicatest.LossInWaves(n, k, 5, rounds, x.stay, low)
		f := replicatest.Figure{ID: id, Name: fmt.Sprintf("lost of %d, %d%% in 6 waves, R=5 N=%d, %s, mean of %d runs", count, rounds*percent, n, x.name, seeds),
			Value: mean, Op: "<=", Target: pick(s, 1+5*expect, 1+2*expect), Expect: fmt.Sprintf("%.3g", expect), Seed: s.seed}
		switch {
		case x.stay > 0:
			f.Expect += "; blocks with the same holders die together, so that most runs lose none"
		case x.off:
			f.Op, f.Target = ">", 0
		case x.stay == 0:
			s.add(t, replicatest.Figure{ID: id, Name: fmt.Sprintf("runs of %d without a loss, %s", seeds, x.name), Value: float64(clean), Op: ">=",
				Target: pick(s, 1, 19.0), Expect: fmt.Sprintf("%.3g", float64(seeds)*math.Exp(-expect)), Seed: s.seed})
			s.add(t, replicatest.Figure{ID: id, Name: "copies sent for each that was missing, " + x.name, Value: float64(sent) / float64(needed), Op: "<=", Target: 1.2, Expect: "1", Seed: s.seed})
		}
		s.add(t, f)
	}
}
