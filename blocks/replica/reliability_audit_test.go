package replica_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/replica/replicatest"
)

// S-07: a member silently loses a tenth of its blocks and goes on saying that it has them.
// Somebody finds it out within ten minutes, at the times of the public profile, and nobody
// else is accused. The control asks for no proofs.
func silentLoss(t *testing.T, s *sheet, id string) {
	n, count, runs := pick(s, 40, 100), pick(s, 1_000, 3_000), pick(s, 2, 20)
	const within, share, neighbours, proofs = 10 * time.Minute, 0.1, 6, 16
	add := adder(t, s, id)
	for _, off := range []bool{false, true} {
		if off {
			runs = min(runs, pick(s, 1, 3))
		}
		found, slowest, wrongly, deleted, asked := 0, time.Duration(0), 0, 0, int64(0)
		for i := range runs {
			cfg := replicatest.Config{N: n, Seed: s.seed + uint64(i), Compare: true, Set: replica.Config{NoAudit: off}}
			inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
				fill(t, w, count)
				w.Run(45 * time.Minute) // the times at which they ask are spread
				who := w.Draw(1)[0]
				lost, err := w.Lose(who, share)
				if err != nil {
					t.Fatal(err)
				}
				deleted += lost
				for began := time.Now(); time.Since(began) < within; {
					w.Run(5 * time.Second)
					if slices.Contains(w.Accused(), who) {
						found++
						slowest = max(slowest, time.Since(began))
						break
					}
				}
				w.Run(within)
				wrongly += len(slices.DeleteFunc(w.Accused(), func(m int) bool { return m == who }))
				a, _ := w.Audited()
				asked += a
			})
		}
		t.Logf("audits off %t: %d runs, %d blocks deleted, %d proofs asked for, slowest %v", off, runs, deleted, asked, slowest)
		if off {
			add(fmt.Sprintf("control, no proofs: runs of %d in which the loss is found", runs), found, "<=", 0, "0")
			continue
		}
		miss := replicatest.Unnoticed(neighbours, proofs, share)
		add(fmt.Sprintf("runs of %d in which a silent loss of a tenth is found within 10 min", runs), found, ">=", float64(runs),
			fmt.Sprintf("%.5g; one is missed with p = %.2g, with %d neighbours and %d proofs each", float64(runs)*(1-miss), miss, neighbours, proofs))
		add("s until it was found, in the slowest run", int(slowest.Seconds()), "<=", within.Seconds(), "")
		add("members accused that had lost nothing", wrongly, "<=", 0, "0")
	}
}

// S-07, the other half: an hour of audits every ten seconds (in the small size every minute) with 200 ms from each to each,
// while members are restarted and newcomers come, and nobody is accused. In the control one
// has lost a tenth of its blocks.
func honestHour(t *testing.T, s *sheet, id string) {
	n, count, every := pick(s, 12, 60), pick(s, 60, 1_000), pick(s, time.Minute, 10*time.Second)
	add := adder(t, s, id)
	for _, loses := range []bool{false, true} {
		cfg := replicatest.Config{N: n, Seed: s.seed, Compare: true, Grace: 2 * time.Minute, Young: -1,
			Latency: replicatest.Span{Min: 200 * time.Millisecond, Max: 200 * time.Millisecond},
			Set:     replica.Config{SyncEvery: every, AfterChange: every / 10}}
		inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
			fill(t, w, count)
			w.Run(10 * time.Minute)
			who := -1
			if loses {
				who = w.Draw(1)[0]
				if _, err := w.Lose(who, 0.1); err != nil {
					t.Fatal(err)
				}
			}
			for range pick(s, 6, 12) { // an hour
				m := w.Draw(1)[0]
				if m == who {
					m = w.Live()[0]
				}
				w.Stop(m)
				w.Run(time.Minute)
				w.Return(m)
				w.Run(time.Minute)
				w.Join()
				w.Run(time.Hour/time.Duration(pick(s, 6, 12)) - 2*time.Minute)
			}
			asked, failed := w.Audited()
			if loses {
				add("members accused, control, one has lost a tenth of its blocks", len(w.Accused()), ">", 0, "1")
				return
			}
			add("members accused in an honest hour, 200 ms each way", len(w.Accused()), "<=", 0, "0")
			add("proofs that failed in it", int(failed), "<=", 0, "0")
			add("proofs asked for in it", int(asked), ">", 10_000, "")
		})
	}
}

// S-12, the quiet half: six hours in which neighbours compare and audit and nothing happens.
// Nothing is sent, and what they ask costs little. The control has lost one copy of some
// blocks, which comparisons bring back.
func idle(t *testing.T, s *sheet, id string) {
	n, count, hours := pick(s, 30, 200), pick(s, 200, 4_000), pick(s, 2, 6)
	add := adder(t, s, id)
	for _, gaps := range []bool{false, true} {
		cfg := replicatest.Config{N: n, Seed: s.seed, Compare: true}
		inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
			err := w.Lay(count, func(i int, near []int) []int {
				if gaps && i%10 == 0 {
					return near[1:5]
				}
				return near[:5]
			})
			if err != nil {
				t.Fatal(err)
			}
			if !gaps {
				w.Run(15 * time.Minute)
				w.Reset()
			}
			began := time.Now()
			w.Run(time.Duration(hours) * time.Hour)
			tally, took := w.Tally(), time.Since(began)
			if gaps {
				add("copies sent, control, a copy of each tenth block is missing", tally.Sent, ">=", float64(count/10), fmt.Sprint(count/10))
				return
			}
			t.Logf("%+v", tally)
			add(fmt.Sprintf("copies sent in %d h in which nothing happens", hours), tally.Sent, "<=", 0, "0")
			add("copies offered in them", tally.Offered, "<=", 0, "0")
			add("comparisons in them", tally.Compared, ">", 0, fmt.Sprintf("%d between two neighbours, from both sides", 2*6*hours))
			s.add(t, replicatest.Figure{ID: id, Name: "bytes a second between two neighbours, comparisons and audits from both sides", Seed: s.seed,
				Value: float64(tally.Told) / float64(tally.Pairs) / took.Seconds(), Op: "<=", Target: 10,
				Expect: fmt.Sprintf("%.3g where both hold 16 blocks or more", 2*(33+44+16*70.0)/600)})
		})
	}
}
