package dht_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/dht"
	"github.com/libp2p/go-libp2p/core/network"
)

// lively is a network that pings every second, as a testnet does.
func lively() dht.Config { return dht.Config{Ping: time.Second} }

// hang swallows whatever goes to or comes from those.
func (w *ring) hang(those ...int) {
	cut := func(a, b int) bool { return slices.Contains(those, a) || slices.Contains(those, b) }
	w.cut.Store(&cut)
}

func (w *ring) heal() { w.cut.Store(nil) }

// until waits for what is to come, a tenth of a second at a time, and gives how long it took.
func until(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			t.Fatalf("no %s after %v", what, limit)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(began)
}

// A peer that hangs keeps its connections, and is suspect after three pings at every
// other member; when it answers again it is one again, and it never lost its seat. The
// control misses no ping and takes it for alive.
func TestAHungPeerIsSuspectWithinThreePings(t *testing.T) {
	for name, misses := range map[string]int{"three": 3, "control": 1000} {
		synctest.Test(t, func(t *testing.T) {
			const hung = 5
			cfg := lively()
			cfg.Misses = misses
			w := ringOf(t, 12, cfg)
			id, h := w.hosts[hung].ID(), key(t, 1)
			before, _, err := w.routers[0].Seats(t.Context(), h, 12)
			if err != nil || len(before) != 12 {
				t.Fatalf("seats %v, %v", before, err)
			}
			w.hang(hung)
			suspect := func() bool {
				for i, r := range w.routers {
					if i != hung && r.IsMember(id) {
						return false
					}
				}
				return true
			}
			if name == "control" {
				time.Sleep(10 * time.Second)
				if !w.routers[0].IsMember(id) {
					t.Error("suspect without a missed ping")
				}
				w.heal()
				time.Sleep(time.Minute)
				return
			}
			took := until(t, 9*time.Second, "suspicion", suspect)
			t.Logf("suspect everywhere after %v", took)
			if w.hosts[0].Network().Connectedness(id) != network.Connected {
				t.Error("it was the connection that ended, and no ping that was missed")
			}
			began := time.Now()
			ids, alive, err := w.routers[0].Seats(t.Context(), h, 12)
			if at := slices.Index(ids, id); err != nil || !slices.Equal(ids, before) || alive[at] {
				t.Errorf("seats %v %v, %v", ids, alive, err)
			}
			for range 100 { // nor does anybody wait for it again and again
				if ids, _, err := w.routers[0].Closest(t.Context(), h, 11); err != nil || slices.Contains(ids, id) || len(ids) != 11 {
					t.Fatalf("closest %v, %v", ids, err)
				}
			}
			if d := time.Since(began); d > 500*time.Millisecond {
				t.Errorf("100 questions took %v", d)
			}
			w.heal()
			until(t, 15*time.Second, "recovery", func() bool { return w.routers[0].IsMember(id) })
		})
	}
}

// A neighbour hung is suspect sooner than others: within three pings and the time to the next.
func TestANeighbourIsSuspectSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ringOf(t, 8, lively())
		id := w.hosts[3].ID()
		w.hang(3)
		took := until(t, 4500*time.Millisecond, "suspicion", func() bool { return !w.routers[0].IsMember(id) })
		t.Logf("suspect after %v", took)
	})
}

// A member that only this peer cannot hear is not suspect: others say that it lives.
func TestAWitnessSpeaksForWhoIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ringOf(t, 8, lively())
		cut := func(a, b int) bool { return a == 0 && b == 3 || a == 3 && b == 0 }
		w.cut.Store(&cut)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			if !w.routers[0].IsMember(w.hosts[3].ID()) {
				t.Fatal("suspect, though it answers all others")
			}
		}
	})
}

// A peer that flaps keeps its seat all the time, and is there at the end.
func TestAFlappingPeerKeepsItsSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ringOf(t, 8, lively())
		h := key(t, 1)
		want := w.oracle(h, 8)
		suspected := false
		for range 10 {
			w.hang(3)
			for range 6 {
				time.Sleep(time.Second)
				ids, alive, err := w.routers[0].Seats(t.Context(), h, 8)
				if err != nil || !slices.Equal(ids, want) {
					t.Fatalf("seats %v, %v; want %v", ids, err, want)
				}
				suspected = suspected || slices.Contains(alive, false)
			}
			w.heal()
			time.Sleep(3 * time.Second)
		}
		if !suspected {
			t.Error("it was never suspect: this test cannot fail")
		}
		until(t, 15*time.Second, "recovery", func() bool { return w.routers[0].IsMember(w.hosts[3].ID()) })
	})
}

// Who is cut off takes itself for cut off, and pulls the brake. The control is a
// network whose greater part near a peer has died: there it does not.
func TestTheBrakeTellsACutFromDeaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ringOf(t, 24, lively())
		asker := w.routers[0]
		if asker.CutOff(t.Context()) {
			t.Fatal("cut off in a whole network")
		}
		w.hang(0)
		until(t, 20*time.Second, "suspects", func() bool { return len(asker.Suspect()) >= 12 })
		if !asker.CutOff(t.Context()) {
			t.Error("not cut off, though nobody answers")
		}
		w.heal()
		until(t, 30*time.Second, "end of the suspicion", func() bool { return len(asker.Suspect()) == 0 })
		if asker.CutOff(t.Context()) {
			t.Error("cut off after the end of it")
		}
		var near []int
		for _, p := range asker.Neighbours()[:8] {
			for i, h := range w.hosts {
				if h.ID() == p {
					near = append(near, i)
				}
			}
		}
		w.hang(near...)
		until(t, 20*time.Second, "suspects", func() bool { return len(asker.Suspect()) == len(near) })
		if asker.CutOff(t.Context()) {
			t.Errorf("cut off, though only %d neighbours died", len(near))
		}
	})
}

// A peer that stops says so: it is not asked any more, and keeps its seat for the
// grace, unless it leaves for good.
func TestAPeerThatStopsSaysSo(t *testing.T) {
	for name, leave := range map[string]bool{"restart": false, "leave": true} {
		synctest.Test(t, func(t *testing.T) {
			w := ringOf(t, 8, lively())
			id, h := w.hosts[3].ID(), key(t, 1)
			if leave {
				w.routers[3].Leave(t.Context())
			}
			w.stop[3]()
			time.Sleep(100 * time.Millisecond)
			ids, _, err := w.routers[0].Seats(t.Context(), h, 8)
			if err != nil || slices.Contains(ids, id) == leave {
				t.Errorf("%s: seats %v, %v", name, ids, err)
			}
			if ids, _, err := w.routers[0].Closest(t.Context(), h, 8); err != nil || slices.Contains(ids, id) {
				t.Errorf("%s: closest %v, %v", name, ids, err)
			}
		})
	}
}

// Members know of each other what they say of themselves.
func TestMembersKnowEachOthersHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := lively()
		var free atomic.Int64
		free.Store(1234)
		cfg.Young, cfg.Free = time.Minute, func() (int64, bool) { return free.Load(), true }
		w := ringOf(t, 3, cfg)
		got, ok := w.routers[0].Hello(w.hosts[2].ID())
		if !ok || got.Free != 1234 || got.Flags != dht.Young || got.Incarnation == 0 {
			t.Errorf("hello %+v, %v", got, ok)
		}
		time.Sleep(time.Minute)
		if got, _ := w.routers[0].Hello(w.hosts[2].ID()); got.Flags != 0 {
			t.Errorf("after a minute it is %+v", got)
		}
		free.Store(0)
		time.Sleep(5 * time.Second)
		if got, _ := w.routers[0].Hello(w.hosts[2].ID()); got.Flags != dht.Full || got.Free != 0 {
			t.Errorf("when it is full it is %+v", got)
		}
	})
}

// What goes on after its end is nobody's: Run returns and nothing is left, hung peers or not.
func TestRunEndsWhileOthersHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ringOf(t, 6, lively())
		w.hang(1, 2, 3)
		time.Sleep(2 * time.Second)
		began := time.Now()
		w.stop[0]()
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("the end took %v", d)
		}
	})
}
