package replica_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/replica/replicatest"
)

// adder adds the figures of one scenario.
func adder(t *testing.T, s *sheet, id string) func(name string, v int, op string, target float64, expect string) {
	return func(name string, v int, op string, target float64, expect string) {
		t.Helper()
		s.add(t, replicatest.Figure{ID: id, Name: name, Value: float64(v), Op: op, Target: target, Expect: expect, Seed: s.seed})
	}
}

// S-04: the network falls in two, and comes together again. A cut that is shorter than
// the grace moves nothing but what has fewer than three copies on a side; after a longer
// one each side has its own, and nothing is sent again when it heals.
func partition(t *testing.T, s *sheet, id string) {
	n, count := pick(s, 100, 500), pick(s, 500, 2_000)
	add := adder(t, s, id)
	for _, x := range []struct {
		name   string
		part   int // of 100 members are on the smaller side
		length time.Duration
		grace  time.Duration
	}{
		{"50/50 for 5 min", 50, 5 * time.Minute, 0}, {"control, 50/50 for 5 min, no grace", 50, 5 * time.Minute, time.Second},
		{"50/50 for 1 h", 50, time.Hour, 0}, {"80/20 for 1 h", 20, time.Hour, 0},
		{"50/50 for 12 h", 50, 12 * time.Hour, 0},
	} {
		if !s.long && x.length > 5*time.Minute {
			continue
		}
		inWorld(t, replicatest.Config{N: n, Seed: s.seed, Grace: x.grace}, func(t *testing.T, w *replicatest.World) {
			fill(t, w, count)
			w.Run(15 * time.Minute)
			small := func(m int) bool { return m%100 < x.part }
			missing := w.Missing(small) + w.Missing(func(m int) bool { return !small(m) })
			w.Reset()
			w.Cut(func(a, b int) bool { return small(a) != small(b) })
			w.Run(x.length)
			cut := w.Tally()
			w.Heal()
			w.Run(5 * time.Minute)
			found := w.Reads(1000)
			w.Run(time.Hour)
			healed := w.Tally()
			if x.grace != 0 {
				add("copies sent, not urgent, "+x.name, cut.Offered-cut.Urgent, ">", 0, "")
				return
			}
			add("lost of "+fmt.Sprint(count, ", ", x.name), w.Lost(), "<=", 0, "0")
			add("reads of 1000 found 5 min after it, "+x.name, found, ">=", 1000, "1000")
			add("blocks not on their closest 1 h after it, "+x.name, w.Short(), "<=", 0, "0")
			add("copies sent during and after it, "+x.name, healed.Sent, "<=", 2*float64(missing), fmt.Sprintf("%d are missing, both sides together", missing))
			add("copies sent after it, "+x.name, healed.Sent-cut.Sent, "<=", 0.02*float64(5*count), "0")
			if x.length < 30*time.Minute {
				add("copies offered, not urgent, "+x.name, healed.Offered-healed.Urgent, "<=", 0, "0")
			}
		})
	}
}

// S-08 and S-09: some members are slow, or do not hear some others, while a publisher
// puts and members die. The control repairs nothing.
func poorLines(t *testing.T, s *sheet, _ string) {
	n, count, hours := pick(s, 60, 300), pick(s, 200, 1_000), pick(s, 1, 3)
	rate := pick(s, 0.3, 0.1)
	for _, x := range []struct {
		id, name string
		spoil    func(*replicatest.World)
		off      bool
	}{
		{"S-08", "30 % at a hundredth of the bandwidth", func(w *replicatest.World) {
			for _, m := range w.Draw(n * 3 / 10) {
				w.Slow(m, 100)
			}
		}, false},
		{"S-09", "10 % of the directions are dead", func(w *replicatest.World) {
			w.Blind(func(from, to int) bool {
				return (uint64(from)*0x9e3779b97f4a7c15^uint64(to)*0xbf58476d1ce4e5b9)>>20%10 == 0
			})
		}, false},
		{"S-09", "control, no repair", func(w *replicatest.World) {}, true},
		{"S-08", "control, no repair", func(w *replicatest.World) {
			for _, m := range w.Draw(n * 3 / 10) {
				w.Slow(m, 100)
			}
		}, true},
	} {
		add := adder(t, s, x.id)
		cfg := replicatest.Config{N: n, Seed: s.seed, Grace: 2 * time.Minute, Set: replica.Config{NoRepair: x.off}}
		inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
			x.spoil(w)
			took := put(t, w, count, blocks.WaitQuorum, 2*time.Hour)
			w.Churn(time.Duration(hours)*time.Hour, rate)
			w.Run(time.Duration(hours)*time.Hour + 30*time.Minute)
			_, p99 := w.Times(0.99)
			if x.off {
				add("blocks not on their closest, "+x.name, w.Short(), ">", 0, "")
				return
			}
			add(fmt.Sprintf("lost of %d, %g%%/h %d h, %s", count, 100*rate, hours, x.name), w.Lost(), "<=", 0, "0")
			add("s until three copies of each block, "+x.name, int(took.Seconds()), "<=", 3600, "")
			add("reads of 1000 found at the first try, "+x.name, w.Reads(1000), ">=", 999, "1000")
			if s.long || x.id != "S-09" { // too few repairs for a hundredth of them
				add("repair s after the grace, p99, "+x.name, int(p99.Seconds()), "<=", 300, "")
				add("seats without their copy for 10 min that one of its holders reaches, "+x.name, w.Neglected(10*time.Minute), "<=", 0, "0")
				if x.id == "S-09" {
					none := math.Pow(1-0.9*0.9, 4) // one direction of each pair with the other four is dead
					expect := float64(w.Tally().Needed) * none
					add("seats without their copy for 10 min, "+x.name, w.Open(10*time.Minute), "<=", math.Ceil(expect+3.29*math.Sqrt(expect)),
						fmt.Sprintf("%.2g at any time at most: of %d that came free, those that none of four holders reaches", expect, w.Tally().Needed))
				}
			}
		})
	}
}

// put publishes n blocks, waits until they are as safe as level asks, and kills the
// publisher. It gives how long that took.
func put(t *testing.T, w *replicatest.World, n int, level blocks.Wait, limit time.Duration) time.Duration {
	t.Helper()
	bs, l := w.Make(n)
	began := time.Now()
	who, job, err := w.Publish(bs, l)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { // ends with the wait, which limit bounds
		_, err := job.Wait(t.Context(), level, nil)
		ended <- err
	}()
	for {
		w.Run(time.Second)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("put: %v", err)
			}
			took := time.Since(began)
			w.Kill(who)
			return took
		default:
			if time.Since(began) > limit {
				w.Kill(who)
				<-ended
				t.Errorf("put is not done after %v", limit)
				return limit
			}
		}
	}
}

// S-11: the network doubles within ten minutes. The control repairs nothing, so that no
// newcomer gets what it should have.
func joinStorm(t *testing.T, s *sheet, id string) {
	n, count := pick(s, 60, 500), pick(s, 300, 5_000)
	add := adder(t, s, id)
	for _, off := range []bool{false, true} {
		inWorld(t, replicatest.Config{N: n, Seed: s.seed, Set: replica.Config{NoRepair: off}}, func(t *testing.T, w *replicatest.World) {
			fill(t, w, count)
			w.Run(15 * time.Minute)
			w.Reset()
			for range n {
				w.Join()
				w.Run(10 * time.Minute / time.Duration(n))
			}
			w.Run(10 * time.Minute) // until they are no newcomers
			w.Run(10 * time.Minute)
			tally := w.Tally()
			if off {
				add("control, no repair: blocks not on their closest", w.Short(), ">", 0, "")
				return
			}
			add(fmt.Sprintf("lost of %d, %d members join %d in 10 min", count, n, n), w.Lost(), "<=", 0, "0")
			add("blocks not on their closest 10 min after the last became a member", w.Short(), "<=", 0, "0")
			add("copies sent", tally.Sent, "<=", 1.2*float64(tally.Needed), fmt.Sprintf("%d were missing", tally.Needed))
			add("copies sent that were there", tally.Twice, "<=", 0.05*float64(tally.Sent), "0")
		})
	}
}

// S-12, and invariant 13: members are restarted one after the other, all at once, or one
// again and again. Nothing is sent. The control takes everyone for departed after a second.
func restarts(t *testing.T, s *sheet, id string) {
	n, count := pick(s, 40, 300), pick(s, 100, 1_000)
	add := adder(t, s, id)
	rolling := func(w *replicatest.World) {
		for m := range n {
			w.Stop(m)
			w.Run(30 * time.Second)
			w.Return(m)
			w.Run(5 * time.Second)
		}
	}
	for _, x := range []struct {
		name  string
		grace time.Duration
		do    func(*replicatest.World)
	}{
		{"rolling", 0, rolling},
		{"all at once, 2 min", 0, func(w *replicatest.World) {
			for m := range n {
				w.Stop(m)
			}
			w.Run(2 * time.Minute)
			for m := range n {
				w.Return(m)
			}
		}},
		{"one flaps 100 times", 0, func(w *replicatest.World) {
			for range 100 {
				w.Stop(0)
				w.Run(90 * time.Second)
				w.Return(0)
				w.Run(60 * time.Second)
			}
		}},
		{"nothing happens for 6 h", 0, func(w *replicatest.World) { w.Run(6 * time.Hour) }},
		{"control, one flaps, no grace", time.Second, func(w *replicatest.World) {
			for range 10 {
				w.Stop(0)
				w.Run(5 * time.Minute)
				w.Return(0)
				w.Run(time.Minute)
			}
		}},
	} {
		inWorld(t, replicatest.Config{N: n, Seed: s.seed, Grace: x.grace}, func(t *testing.T, w *replicatest.World) {
			fill(t, w, count)
			w.Run(15 * time.Minute)
			w.Reset()
			began := time.Now()
			x.do(w)
			w.Run(time.Hour)
			tally := w.Tally()
			if x.grace != 0 {
				add("copies sent, "+x.name, tally.Sent, ">", 0, "")
				return
			}
			add("lost, "+x.name, w.Lost(), "<=", 0, "0")
			add("copies sent, "+x.name, tally.Sent, "<=", 0, "0")
			add("bytes an hour a member asks with, "+x.name, int(float64(34*tally.Asked)/float64(n)/time.Since(began).Hours()), "<=", 36_000*5, "")
		})
	}
}

// S-14: a put while a tenth of the members goes in each hour; its publisher leaves as
// soon as every block has three copies. The control repairs nothing afterwards.
func putInChurn(t *testing.T, s *sheet, id string) {
	n, count, hours := pick(s, 100, 1_000), pick(s, 300, 10_000), pick(s, 3, 6)
	rate := pick(s, 0.3, 0.1)
	add := adder(t, s, id)
	for _, off := range []bool{false, true} {
		cfg := replicatest.Config{N: n, Seed: s.seed, Grace: 2 * time.Minute, Set: replica.Config{NoRepair: off}}
		inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
			w.Run(time.Minute)
			w.Churn(time.Duration(hours)*time.Hour, rate)
			took := put(t, w, count, blocks.WaitQuorum, 2*time.Hour)
			w.Run(time.Duration(hours)*time.Hour + 30*time.Minute)
			if off {
				add("control, no repair: blocks not on their closest", w.Short(), ">", 0, "")
				return
			}
			add(fmt.Sprintf("lost of %d, put and kept %d h at %g%%/h, N=%d", count, hours, 100*rate, n), w.Lost(), "<=", 0, "0")
			add("s until three copies of each block", int(took.Seconds()), "<=", 7200, "")
			add("blocks not on their closest at the end", w.Short(), "<=", 0, "0")
			add("reads of 1000 found at the first try", w.Reads(1000), ">=", 999, "1000")
		})
	}
}
