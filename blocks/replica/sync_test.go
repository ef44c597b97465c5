package replica_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// inTestnet is the timing of a testnet, without the repair rounds that would do the same.
func inTestnet(seed uint64) replica.Config {
	return replica.Config{R: 3, Every: 24 * time.Hour, SyncEvery: 10 * time.Second, AfterChange: time.Second,
		Rand: rand.New(rand.NewPCG(seed, seed))}
}

// Whatever two neighbours hold, after one comparison both hold all of it. What was given and
// what was fetched counts as repaired.
func TestTwoNeighboursConvergeInOneSession(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMesh(2, inTestnet(1))
		who := rapid.SliceOfN(rapid.IntRange(1, 3), 1, 200).Draw(rt, "who holds each")
		bs := m.fill(t, len(who), 2, func(i int, p peer.ID) bool { return who[i]&map[peer.ID]int{"a": 1, "b": 2}[p] != 0 })
		c, err := m.set["a"].Compare(t.Context(), "b")
		if err != nil {
			rt.Fatal(err)
		}
		have, need := 0, 0
		for _, w := range who {
			have, need = have+map[int]int{1: 1}[w], need+map[int]int{2: 1}[w]
		}
		if c.Have != have || c.Need != need || c.Given != have || c.Got != need || m.stored["b"] != have || m.fetched["a"] != need {
			rt.Fatalf("%+v; want have %d, need %d, and as many moved", c, have, need)
		}
		if got, want := m.set["a"].Repaired(), (replica.Copied{Blocks: int64(have + need), Bytes: 100 * int64(have+need)}); got != want {
			rt.Fatalf("repaired %+v, want %+v", got, want)
		}
		for _, b := range bs {
			if n := m.copies(b, ""); n != 2 {
				rt.Fatalf("%d copies of %s", n, b)
			}
		}
	})
}

// Copies that are missing anywhere come to where they belong by comparisons alone, each
// about once, and then nothing moves.
func TestComparisonsFillTheGaps(t *testing.T) {
	for name, off := range map[string]bool{"with": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := inTestnet(2)
				cfg.NoRepair = off
				m := newMesh(8, cfg)
				dice, missing := rand.New(rand.NewPCG(2, 2)), 0
				bs := m.fill(t, 300, 3, func(int, peer.ID) bool {
					lacks := dice.IntN(4) == 0
					if lacks {
						missing++
					}
					return !lacks
				})
				none := 0 // copies of what nobody has
				for _, b := range bs {
					if m.copies(b, "") == 0 {
						none++
					}
				}
				m.run(t)
				time.Sleep(2 * time.Minute)
				short, moved := 0, 0
				for _, b := range bs {
					if n := m.copies(b, ""); n > 0 && n < 3 {
						short++
					}
				}
				m.mu.Lock()
				for _, p := range m.ids {
					moved += m.stored[p] + m.fetched[p]
				}
				m.mu.Unlock()
				if off {
					if short == 0 || moved > 0 {
						t.Errorf("control: %d short, %d moved", short, moved)
					}
					return
				}
				want := missing - 3*none
				t.Logf("missing=%d moved=%d", want, moved)
				if short > 0 || float64(moved) > 1.05*float64(want) {
					t.Errorf("%d blocks short, %d copies moved for %d", short, moved, want)
				}
				time.Sleep(5 * time.Minute)
				m.mu.Lock()
				defer m.mu.Unlock()
				for _, p := range m.ids {
					moved -= m.stored[p] + m.fetched[p]
				}
				if moved != 0 {
					t.Errorf("%d copies moved after all was there", -moved)
				}
			})
		})
	}
}

// A tenth of a peer's blocks is silently deleted: somebody notices within ten minutes, in each of
// 20 runs; without audits, the control, nobody does.
func TestSilentDeletionIsFound(t *testing.T) {
	for seed := range uint64(20) {
		for _, off := range []bool{false, true} {
			if off && seed >= 3 {
				continue // the control takes its ten minutes
			}
			synctest.Test(t, func(t *testing.T) {
				cfg := inTestnet(seed)
				cfg.NoAudit = off
				m := newMesh(7, cfg)
				bs := m.fill(t, 200, 3, func(int, peer.ID) bool { return true })
				dice, deleted := rand.New(rand.NewPCG(seed, 7)), 0
				for _, b := range bs {
					if ok, _ := m.mem["c"].Has(t.Context(), b.Hash()); ok && dice.IntN(10) == 0 {
						if err := m.mem["c"].Delete(t.Context(), b.Hash()); err != nil {
							t.Fatal(err)
						}
						deleted++
					}
				}
				m.run(t)
				var took time.Duration
				found := func() bool {
					return slices.ContainsFunc(m.ids, func(p peer.ID) bool { return len(m.set[p].Distrusted()) > 0 })
				}
				for t0 := time.Now(); took < 10*time.Minute && !found(); took = time.Since(t0) {
					time.Sleep(time.Second)
				}
				if deleted == 0 || found() == off {
					t.Errorf("seed %d, audits off %v: %d deleted, found %v after %v", seed, off, deleted, found(), took)
				}
				if !off {
					t.Logf("seed=%d deleted=%d found_s=%d", seed, deleted, int(took.Seconds()))
				}
				for _, p := range m.ids {
					if who := m.set[p].Distrusted(); slices.ContainsFunc(who, func(q peer.ID) bool { return q != "c" }) {
						t.Errorf("seed %d: %s accuses %v", seed, p, who)
					}
				}
			})
		}
	}
}

// An honest hour in which every question takes 200 ms, blocks come and go, and nobody is
// accused.
func TestHonestPeersAreNotAccused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(6, inTestnet(3))
		m.lag = 200 * time.Millisecond
		dice := rand.New(rand.NewPCG(3, 3))
		bs := m.fill(t, 150, 3, func(int, peer.ID) bool { return dice.IntN(5) > 0 })
		m.run(t)
		for range 60 {
			time.Sleep(time.Minute)
			for _, p := range m.ids { // one lets go of a block in order: the reason first
				b := bs[dice.IntN(len(bs))]
				ls, err := m.mem[p].Leases(t.Context(), b.Hash())
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range ls {
					if err := m.mem[p].Release(t.Context(), l.ID(), b.Hash()); err != nil {
						t.Fatal(err)
					}
				}
				if err := m.mem[p].Delete(t.Context(), b.Hash()); err != nil {
					t.Fatal(err)
				}
			}
		}
		var sum replica.Audits
		for _, p := range m.ids {
			a := m.set[p].Audited()
			sum.Asked, sum.Failed = sum.Asked+a.Asked, sum.Failed+a.Failed
			if who := m.set[p].Distrusted(); len(who) > 0 {
				t.Errorf("%s accuses %v", p, who)
			}
		}
		t.Logf("asked=%d failed=%d", sum.Asked, sum.Failed)
		if sum.Asked < 10_000 || sum.Failed != 0 {
			t.Errorf("%+v", sum)
		}
	})
}

// Who forges proofs loses its seats: the next closest get copies by the repair rounds.
func TestCopiesOfWhoFailedAreReplaced(t *testing.T) {
	for name, off := range map[string]bool{"with": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := inTestnet(4)
				cfg.Every, cfg.NoAudit = 10*time.Second, off
				m := newMesh(7, cfg)
				m.forged["c"] = true
				bs := m.fill(t, 100, 3, func(int, peer.ID) bool { return true })
				m.run(t)
				time.Sleep(5 * time.Minute)
				short := 0
				for _, b := range bs {
					if m.copies(b, "c") < 3 {
						short++
					}
				}
				if short > 0 != off {
					t.Errorf("audits off %v: %d of %d blocks have fewer than 3 copies without the forger", off, short, len(bs))
				}
				a := m.set["a"]
				if who := a.Distrusted(); off != (len(who) == 0) {
					t.Errorf("distrusted %v", who)
				}
			})
		})
	}
}

// A peer that has just started has met few, and takes blocks for shared with one of them
// that has no seat near: whichever of the two compares, nothing moves.
func TestWhoHasJustStartedIsBroughtAndBringsNothingForeign(t *testing.T) {
	m := newMesh(12, inTestnet(5))
	m.fill(t, 200, 3, func(int, peer.ID) bool { return true })
	m.zone = map[peer.ID][]peer.ID{"a": {"a", "b", "e", "k"}}
	have, need := 0, 0
	for _, p := range m.zone["a"][1:] {
		for _, who := range [][2]peer.ID{{"a", p}, {p, "a"}} {
			c, err := m.set[who[0]].Compare(t.Context(), who[1])
			if err != nil {
				t.Fatal(err)
			}
			have, need = have+c.Have, need+c.Need
			if c.Given+c.Got != 0 {
				t.Errorf("%s compares with %s: %+v", who[0], who[1], c)
			}
		}
	}
	if have == 0 || need == 0 {
		t.Fatalf("%d and %d differences: this shows nothing", have, need)
	}
}
