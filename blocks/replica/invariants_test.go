package replica_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/replica/replicatest"
	"pgregory.net/rapid"
)

// The invariants of keeping as properties, each over whole networks that are drawn. Those of
// placement, leases, quotas, comparisons and records stand with these.

// hasty is a network that learns of everything within seconds and acts within a minute.
func hasty(rt *rapid.T, lo, hi int) replicatest.Config {
	return replicatest.Config{
		N: rapid.IntRange(lo, hi).Draw(rt, "members"), R: rapid.IntRange(2, 5).Draw(rt, "r"), Seed: rapid.Uint64Range(1, 1<<20).Draw(rt, "seed"),
		Detect: replicatest.Span{Min: time.Second, Max: 4 * time.Second}, Meet: replicatest.Span{Min: 100 * time.Millisecond, Max: 2 * time.Second},
		Spread: time.Second, Grace: 10 * time.Second, Young: -1, Warm: 2 * time.Second,
		Set: replica.Config{Every: 30 * time.Second, SyncEvery: 30 * time.Second, AfterChange: time.Second, Backup: 2 * time.Second, Linger: 2 * time.Second, Full: 2 * time.Minute},
	}
}

// whole skips what draws whole networks where each costs ten times as much.
func whole(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; the rest of the package has the same code raced")
	}
}

// drawn runs f in a bubble with a drawn network.
func drawn(t *testing.T, rt *rapid.T, cfg replicatest.Config, f func(*replicatest.World)) {
	synctest.Test(t, func(t *testing.T) {
		w := replicatest.New(t.Context(), cfg)
		defer w.Close()
		f(w)
	})
}

// Wherever the copies of blocks are in the beginning, one of each at least: soon each is on
// its closest members, and from then on nothing is sent (invariant 11).
func TestCopiesComeToWhereTheyBelongFromAnywhere(t *testing.T) {
	whole(t)
	rapid.Check(t, func(rt *rapid.T) {
		cfg := hasty(rt, 1, 8)
		cfg.Compare = rapid.Bool().Draw(rt, "they compare")
		drawn(t, rt, cfg, func(w *replicatest.World) {
			err := w.Lay(rapid.IntRange(1, 8).Draw(rt, "blocks"), func(_ int, near []int) []int {
				on := slices.DeleteFunc(slices.Clone(near), func(int) bool { return rapid.IntRange(0, 2).Draw(rt, "here") > 0 })
				if len(on) == 0 {
					on = []int{rapid.SampledFrom(near).Draw(rt, "on")}
				}
				return on
			})
			if err != nil {
				rt.Fatal(err)
			}
			w.Run(4 * time.Minute)
			if n := w.Short(); n > 0 {
				rt.Fatalf("%d blocks are not on their closest", n)
			}
			w.Reset()
			w.Run(10 * time.Minute)
			if got := w.Tally(); got.Sent+got.Offered > 0 || w.Short() > 0 {
				rt.Fatalf("it has come to rest, and then: %+v", got)
			}
		})
	})
}

// Whoever dies, as long as of any block's holders one outlives the time of a repair: nothing
// is lost (invariant 12), and what is sent is what was missing and was not there already
// (invariant 14). Over all draws, the control without repair loses blocks.
func TestNothingIsLostWhileOneHolderOutlivesARepair(t *testing.T) {
	whole(t)
	lostWithout, sent, twice, needed := 0, 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		cfg := hasty(rt, 6, 12)
		kills := rapid.SliceOfN(rapid.IntRange(1, cfg.R-1), 1, 4).Draw(rt, "die at once") // never all R of a block
		for _, off := range []bool{false, true} {
			cfg.Set.NoRepair = off
			drawn(t, rt, cfg, func(w *replicatest.World) {
				if err := w.Fill(20); err != nil {
					rt.Fatal(err)
				}
				w.Run(time.Minute)
				w.Reset()
				for _, k := range kills {
					for _, m := range w.Draw(min(k, len(w.Live())-1)) {
						w.Kill(m)
						w.Join()
					}
					w.Run(3 * time.Minute)
				}
				got := w.Tally()
				if off {
					lostWithout += w.Lost()
					return
				}
				if w.Lost() > 0 || w.Short() > 0 {
					rt.Fatalf("%d lost, %d not on their closest", w.Lost(), w.Short())
				}
				sent, twice, needed = sent+got.Sent, twice+got.Twice, needed+got.Needed
			})
		}
	})
	t.Logf("%d copies sent for %d missing, %d were there; without repair %d blocks are lost", sent, needed, twice, lostWithout)
	if sent == 0 || twice*20 > sent || float64(sent) > 1.2*float64(needed) {
		t.Errorf("%d copies sent for %d missing, %d were there", sent, needed, twice)
	}
	if lostWithout == 0 {
		t.Error("without repair nothing is lost either: this test cannot fail")
	}
}

// A member that comes and goes within the grace, whenever it does, moves nothing as long as
// three others have what it has (invariant 13). Over all draws, the control without a grace
// sends copies.
func TestWhoeverFlapsMovesNothing(t *testing.T) {
	whole(t)
	sentWithout := 0
	rapid.Check(t, func(rt *rapid.T) {
		cfg := hasty(rt, 6, 14)
		cfg.R = rapid.IntRange(4, 5).Draw(rt, "copies")
		flaps := rapid.SliceOfN(rapid.IntRange(1, 100), 2, 40).Draw(rt, "tenths of a second down, up, down")
		for _, grace := range []time.Duration{time.Minute, time.Nanosecond} {
			cfg.Grace = grace
			drawn(t, rt, cfg, func(w *replicatest.World) {
				if err := w.Fill(20); err != nil {
					rt.Fatal(err)
				}
				w.Run(time.Minute)
				w.Reset()
				for i, d := range flaps {
					if i%2 == 0 {
						w.Stop(0)
					} else {
						w.Return(0)
					}
					w.Run(time.Duration(d) * 100 * time.Millisecond)
				}
				if len(flaps)%2 == 1 {
					w.Return(0)
				}
				w.Run(2 * time.Minute)
				if grace < time.Second {
					sentWithout += w.Tally().Sent
				} else if got := w.Tally(); got.Sent > 0 {
					rt.Fatalf("%+v", got)
				}
			})
		}
	})
	t.Logf("without a grace %d copies are sent", sentWithout)
	if sentWithout == 0 {
		t.Error("without a grace nothing is sent either: this test cannot fail")
	}
}

// However soon surplus may be let go, and whoever comes, goes for a while or returns: a
// member drops a block only while r others keep it (invariant 10).
func TestNobodyLetsGoOfWhatOthersDoNotKeep(t *testing.T) {
	whole(t)
	let := 0
	rapid.Check(t, func(rt *rapid.T) {
		cfg := hasty(rt, 4, 8)
		cfg.Compare = true
		cfg.Set.Surplus, cfg.Set.Full, cfg.Set.Every = time.Second, 10*time.Second, 10*time.Second
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{"join", "join", "stop", "return", "lose", "wait"}), 1, 6).Draw(rt, "steps")
		drawn(t, rt, cfg, func(w *replicatest.World) {
			if err := w.Fill(8); err != nil {
				rt.Fatal(err)
			}
			w.Run(30 * time.Second)
			var away []int
			for _, s := range steps {
				switch s {
				case "join":
					w.Join()
				case "stop":
					if live := w.Draw(1); len(w.Live()) > 2 {
						w.Stop(live[0])
						away = append(away, live[0])
					}
				case "return":
					if len(away) > 0 {
						w.Return(away[0])
						away = away[1:]
					}
				case "lose":
					if _, err := w.Lose(w.Draw(1)[0], 0.3); err != nil {
						rt.Fatal(err)
					}
				}
				w.Run(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
			}
			w.Run(time.Minute)
			got := w.Tally()
			if let += got.LetGo; got.Rashly > 0 {
				rt.Fatalf("%d of %d were let go with fewer than %d others that keep them", got.Rashly, got.LetGo, cfg.R)
			}
		})
	})
	t.Logf("%d let go", let)
	if let == 0 {
		t.Error("nothing was ever let go: this test cannot fail")
	}
}

// A peer that does not know its network yet moves nothing and lets go of nothing, whatever
// is missing; as soon as it does it sees to it (invariant 20).
func TestNobodyRepairsBeforeItIsReady(t *testing.T) {
	whole(t)
	rapid.Check(t, func(rt *rapid.T) {
		cold := time.Duration(rapid.IntRange(1, 10).Draw(rt, "minutes")) * time.Minute
		cfg := hasty(rt, 3, 8)
		cfg.Compare, cfg.Set.Surplus = true, time.Second
		drawn(t, rt, cfg, func(w *replicatest.World) {
			if err := w.Lay(8, func(_ int, near []int) []int { return near[len(near)-1:] }); err != nil {
				rt.Fatal(err)
			}
			for _, m := range w.Live() { // all restart together
				w.Stop(m)
			}
			w.Reset()
			w.Warm(cold)
			for m := range cfg.N {
				w.Return(m)
			}
			w.Run(cold - time.Second)
			if got := w.Tally(); got.Sent+got.Offered+got.Compared+got.LetGo > 0 {
				rt.Fatalf("before it is ready: %+v", got)
			}
			w.Run(3 * time.Minute)
			if got := w.Tally(); got.Sent == 0 || w.Short() > 0 {
				rt.Fatalf("%d are not on their closest, %+v", w.Short(), got)
			}
		})
	})
}
