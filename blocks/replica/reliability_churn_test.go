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

// S-03: a tenth of the members goes for ever each hour, newcomers take their places, the
// publisher is gone. Nothing is lost, reads find their block at the first try, and what
// is sent is what was missing. The control repairs nothing.
func churn(t *testing.T, s *sheet, id string) {
	n, count, hours := pick(s, 100, 1_000), pick(s, 500, 2_000), pick(s, 4, 24)
	rate := pick(s, 0.3, 0.1) // an hour; the few blocks of the small size need more to lose any
	testnet := replicatest.Config{
		Detect: replicatest.Span{Min: time.Second, Max: 4 * time.Second}, Meet: replicatest.Span{Min: 100 * time.Millisecond, Max: 2 * time.Second},
		Spread: time.Second, Grace: 10 * time.Second, Young: -1, Warm: 2 * time.Second,
		Set: replica.Config{Every: 10 * time.Second, AfterChange: time.Second, PutIdle: 10 * time.Second, Linger: 2500 * time.Millisecond},
	}
	short := replicatest.Config{Grace: 2 * time.Minute}
	off := short
	off.Set.NoRepair = true
	type variant struct {
		name  string
		cfg   replicatest.Config
		hours int
	}
	variants := []variant{{"grace 2 min", short, hours}, {"control, no repair", off, hours}}
	switch id {
	case "S-03-G30":
		variants = []variant{{"grace 30 min", replicatest.Config{}, hours}}
	case "S-03-5", "S-03-30": // other rates
		if rate = 0.05; id == "S-03-30" {
			rate = 0.3
		}
		if variants = variants[:1]; !s.long {
			return // the small size has this rate
		}
	case "S-03-all": // every one of the first members goes within ten hours
		variants = []variant{{"all are replaced, grace 2 min", short, pick(s, 2, 10)}, {"all are replaced, control, no repair", off, pick(s, 2, 10)}}
	case "S-03-testnet": // 60 times as many rounds
		if n, count = 200, 1_000; !s.long {
			return // the rounds alone take longer than all else
		}
		variants = []variant{{"testnet timing", testnet, 2}}
	}
	for _, x := range variants {
		cfg := x.cfg
		cfg.N, cfg.Seed = n, s.seed
		reads, found, dead, open := 0, 0, 0, 0
		began := time.Now()
		var w *replicatest.World
		inWorld(t, cfg, func(t *testing.T, in *replicatest.World) {
			w = in
			fill(t, w, count)
			w.Run(20 * time.Minute)
			w.Reset()
			if id == "S-03-all" {
				replaceAll(w, time.Duration(x.hours)*time.Hour)
			} else {
				w.Churn(time.Duration(x.hours)*time.Hour, rate)
			}
			for range x.hours * 6 {
				w.Run(10 * time.Minute)
				reads += 500
				found += w.Reads(500)
			}
			w.Run(cfg.Grace + time.Hour)
			dead, open = w.Deaths(), w.Open(10*time.Minute)
		})
		tally := w.Tally()
		t.Logf("%s: %d of %d members died in %d h, %+v, took %v", x.name, dead, cfg.N, x.hours, tally, time.Since(began).Round(time.Millisecond))
		add := func(name string, v float64, op string, target float64, expect string) {
			s.add(t, replicatest.Figure{ID: id, Name: name + ", " + x.name, Value: v, Op: op, Target: target, Expect: expect, Seed: s.seed})
		}
		lost := fmt.Sprintf("lost of %d, N=%d %g%%/h %d h, %d died", count, cfg.N, 100*rate, x.hours, dead)
		if id == "S-03-all" {
			rate = 1 / float64(x.hours)
			lost = fmt.Sprintf("lost of %d, N=%d within %d h, %d died", count, cfg.N, x.hours, dead)
		}
		if cfg.Set.NoRepair {
			share := math.Pow(replicatest.Gone(rate, float64(x.hours)), 5)
			if id == "S-03-all" {
				share = 1
			}
			add(lost, float64(w.Lost()), ">", 0, fmt.Sprintf("%.4g", float64(count)*share))
			continue
		}
		heard50, due50 := w.Times(0.5)
		heard99, due99 := w.Times(0.99)
		grace, urgent := 30*time.Minute, 95*time.Second // found out after 35 s, acted on after 60
		if cfg.Grace != 0 {
			grace = cfg.Grace
		}
		if x.name == "testnet timing" {
			urgent = 4 * time.Second
		}
		share := replicatest.LossInChurn(5, rate, (grace + urgent).Hours(), urgent.Hours(), blocks.Quorum, float64(x.hours))
		add(lost, float64(w.Lost()), "<=", 0, fmt.Sprintf("%.2g", float64(count)*share))
		add("reads found at the first try", float64(found)/float64(reads), ">=", 0.999, "")
		add("seats without their copy at the end", float64(open), "<=", 0, "0")
		// About half of the seats are newcomers', who have no grace: from the first knowledge
		// of a death it is the grace and as long again, which the higher quantile shows.
		add("repair s after the grace, p50", due50.Seconds(), "<=", 90, fmt.Sprintf("%.3g s after the first knew, newcomers among them", heard50.Seconds()))
		add("repair s after the grace, p99", due99.Seconds(), "<=", 300, fmt.Sprintf("%.3g s after the first knew, the grace within", heard99.Seconds()))
		add("copies sent for each that was missing", float64(tally.Sent)/float64(max(tally.Needed, 1)), "<=", 1.2, "1")
		add("copies sent that were there", float64(tally.Twice)/float64(max(tally.Sent, 1)), "<=", 0.05, "0")
	}
}

// replaceAll lets each member that is up go for ever within d, in a drawn order, and a
// newcomer come in its place.
func replaceAll(w *replicatest.World, d time.Duration) {
	order := w.Draw(len(w.Live()))
	for i, m := range order {
		w.At(d*time.Duration(i+1)/time.Duration(len(order)), func() {
			w.Kill(m)
			w.Join()
		})
	}
}
