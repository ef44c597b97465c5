package replica_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/replica/replicatest"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// net is the group of the n-th machine of a wide net.
func net(wide, n int) keyspace.Group {
	return keyspace.GroupOf(netip.AddrFrom4([4]byte{8, byte(wide), byte(n), 1}))
}

// lopsided has seven of ten members in one wide net, and the others in one each: for most
// blocks too few of the closest count, and the others are far away.
func lopsided(n int) keyspace.Group {
	if n%10 < 7 {
		return net(0, n)
	}
	return net(1+n, 0)
}

func lopsidedWorld(off bool) replicatest.Config {
	cfg := replicatest.Config{N: 60, Seed: 3, Grace: 2 * time.Minute}
	if !off {
		cfg.Group = lopsided
	}
	return cfg
}

// only gives the closest R of a block.
func only(r int) func(int, []int) []int {
	return func(_ int, near []int) []int { return near[:r] }
}

// spreadOut gives a block's holders by the nets of lopsided, whether the members look at them or not.
func spreadOut(r int) func(int, []int) []int {
	return func(_ int, near []int) (on []int) {
		groups := make([]keyspace.Group, len(near))
		for i, n := range near {
			groups[i] = lopsided(n)
		}
		for _, i := range keyspace.Holders(groups, r) {
			on = append(on, near[i])
		}
		return on
	}
}

func copiesIn(w *replicatest.World) (sum int) {
	for n, blocks := range w.Copies() {
		sum += n * blocks
	}
	return sum
}

// A put alone, without any repair, brings blocks to their holders far away too: publisher,
// the closest that passes on, and who admits agree on them. Where nets do not matter, the
// control, five copies are all.
func TestAPutReachesHoldersOfOtherNets(t *testing.T) {
	const count = 60
	for name, off := range map[string]bool{"spread": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			cfg := lopsidedWorld(off)
			cfg.Set.NoRepair = true
			inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
				bs, l := w.Make(count)
				who, _, err := w.Publish(bs, l)
				if err != nil {
					t.Fatal(err)
				}
				w.Run(5 * time.Minute)
				w.Kill(who)
				got := copiesIn(w)
				t.Logf("%d copies of %d blocks, %d blocks not on their holders", got, count, w.Short())
				if n := w.Gave(who); n != 2*count {
					t.Errorf("the publisher sent %d blocks, want %d: the closest did not pass on the others", n, 2*count)
				}
				if w.Short() > 0 || off && got != 5*count || !off && got <= 5*count {
					t.Errorf("%d copies, %d blocks not on their holders", got, w.Short())
				}
			})
		})
	}
}

// What holders far away lack is given to them once each, in the rounds or in comparisons
// alone; nobody refuses any of it, and then nothing moves. The controls do neither.
func TestHoldersOfOtherNetsAreGivenWhatTheyLack(t *testing.T) {
	for name, c := range map[string]struct {
		rounds, compare, whole bool
	}{"rounds": {true, false, true}, "comparisons": {false, true, true}, "control": {false, false, false}} {
		t.Run(name, func(t *testing.T) {
			cfg := lopsidedWorld(false)
			cfg.Compare = c.compare
			if !c.rounds {
				cfg.Set.Every = 1000 * time.Hour
			}
			inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
				if err := w.Lay(60, only(5)); err != nil {
					t.Fatal(err)
				}
				before := copiesIn(w)
				w.Run(time.Hour)
				tally, added := w.Tally(), copiesIn(w)-before
				t.Logf("%d copies added; %+v", added, tally)
				switch {
				case !c.whole:
					if w.Short() == 0 || added > 0 {
						t.Errorf("control: %d short, %d added", w.Short(), added)
					}
					return
				case w.Short() > 0 || added == 0 || tally.Refused > 0 || tally.Twice > 0:
					t.Errorf("%d blocks not on their holders, %d copies added, %d refused, %d sent twice", w.Short(), added, tally.Refused, tally.Twice)
				}
				w.Reset()
				w.Run(30 * time.Minute)
				if tally := w.Tally(); tally.Sent > 0 || tally.Offered > 0 {
					t.Errorf("afterwards %+v", tally)
				}
			})
		})
	}
}

// A holder far away does not let go what r closer peers have; one that is none does. Where
// nets do not matter, the control, all of them let go.
func TestAHolderOfAnotherNetIsNoSurplus(t *testing.T) {
	const count = 100
	for name, off := range map[string]bool{"spread": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			cfg := lopsidedWorld(off)
			cfg.Set.Surplus, cfg.Set.Full, cfg.Set.Every = 10*time.Minute, 10*time.Minute, 10*time.Minute
			inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
				more, strays := 0, 0
				on := spreadOut(5)
				err := w.Lay(count, func(i int, near []int) []int {
					holders := on(i, near)
					more += len(holders) - 5
					for _, n := range near[5:] { // and on one that is no holder
						if !slices.Contains(holders, n) {
							strays++
							return append(holders, n)
						}
					}
					return holders
				})
				if err != nil {
					t.Fatal(err)
				}
				w.Run(3 * time.Hour)
				tally, want := w.Tally(), strays
				if off {
					want += more
				}
				t.Logf("%d holders beside the closest, %d strays; %d let go", more, strays, tally.LetGo)
				if more == 0 || strays == 0 || tally.LetGo != want || tally.Rashly > 0 || tally.Sent > 0 || w.Short() > 0 {
					t.Errorf("%d let go, want %d; %+v; %d blocks not on their holders", tally.LetGo, want, tally, w.Short())
				}
			})
		})
	}
}

// Members come and go for hours and every block stays on all its holders: the rounds see
// whose coming and going changes the holders far away.
func TestHoldersOfOtherNetsFollowChurn(t *testing.T) {
	for name, off := range map[string]bool{"repair": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			cfg := lopsidedWorld(false)
			cfg.Young, cfg.Set.NoRepair = -1, off
			inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
				fill(t, w, 60)
				w.Churn(3*time.Hour, 0.1)
				w.Run(3*time.Hour + 30*time.Minute) // the round over all blocks is at six
				tally := w.Tally()
				t.Logf("%d died, %d blocks not on their holders, %+v", w.Deaths(), w.Short(), tally)
				if off != (w.Short() > 0) || !off && (w.Lost() > 0 || tally.Twice > 0) {
					t.Errorf("%d lost, %d not on their holders, %d sent twice", w.Lost(), w.Short(), tally.Twice)
				}
			})
		})
	}
}

// Seven of ten members, all of one wide net, die at once: no block is lost, who is left
// finds each at the first try, and an hour later all are on all their holders again. The
// control looks at no nets, and has lost those that were in that one alone.
func TestABlockOutlivesItsNet(t *testing.T) {
	for name, off := range map[string]bool{"spread": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, lopsidedWorld(off), func(t *testing.T, w *replicatest.World) {
				fill(t, w, 100)
				w.Run(time.Minute)
				for _, m := range w.Live() {
					if lopsided(m) == net(0, m) {
						w.Kill(m)
					}
				}
				w.Run(2 * time.Minute) // in which the others learn of it
				found, lost := w.Reads(300), w.Lost()
				w.Run(time.Hour)
				t.Logf("%d of 100 lost; 300 reads found %d; %d short an hour later", w.Lost(), found, w.Short())
				if off != (lost > 0) || w.Lost() != lost || w.Short() > 0 || !off && found != 300 {
					t.Errorf("%d lost at once and %d in all, %d of 300 reads found it, %d short", lost, w.Lost(), found, w.Short())
				}
			})
		})
	}
}

// street is members in nets, all there and all known.
type street struct {
	ids []peer.ID
	of  map[peer.ID]keyspace.Group
}

func (s street) Group(p peer.ID) keyspace.Group { return s.of[p] }
func (s street) Nearby(h mh.Multihash, n int) []peer.ID {
	return keyspace.Nearest(keyspace.OfHash(h), s.ids, n)
}
func (s street) Reach(_ context.Context, ps []peer.ID) (alive, seat []bool) {
	all := slices.Repeat([]bool{true}, len(ps))
	return all, all
}

// Of twelve members all but the two farthest from a block are of one wide net: these two,
// beyond the 2r closest, take it, count in its health and stand as holders in where; those
// nearer than they do not. The control looks at no nets.
func TestHoldersOfOtherNetsAreAdmittedAndCounted(t *testing.T) {
	const r = 4
	for name, off := range map[string]bool{"spread": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			var all street
			for i := range 12 {
				all.ids = append(all.ids, peer.ID(fmt.Sprintf("peer-%02d", i)))
			}
			cfg := replica.Config{R: r}
			if !off {
				cfg.Places = &all
			}
			m := meshOf(all.ids, cfg)
			b := m.fill(t, 1, r, func(int, peer.ID) bool { return true })[0]
			near := keyspace.Nearest(keyspace.OfHash(b.Hash()), all.ids, 12)
			all.of = map[peer.ID]keyspace.Group{}
			for i, p := range near {
				all.of[p] = net(0, i)
			}
			all.of[near[10]], all.of[near[11]] = net(1, 0), net(2, 0)
			ls, err := m.mem[near[0]].Leases(t.Context(), b.Hash())
			if err != nil || len(ls) != 1 {
				t.Fatal(ls, err)
			}
			for i, p := range near[r:] {
				want := wire.NotResponsible
				if i += r; i < 2*r || i >= 10 && !off {
					want = 0
				}
				if says, err := m.set[p].Offer(t.Context(), near[0], ls[0], []wire.Item{{Hash: b.Hash(), Size: 100}}); err != nil || says[0] != want {
					t.Errorf("who is %d away says %v, %v; want %v", i, says, err, want)
				}
			}
			for _, p := range near[10:] {
				if err := m.mem[p].Put(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				if err := m.mem[p].Hold(t.Context(), ls[0], b.Hash()); err != nil {
					t.Fatal(err)
				}
			}
			copies := r + 2
			if off {
				copies = r
			}
			what := replica.Sized{CID: b.Cid(), Size: 100}
			h, err := m.set[near[0]].Health(t.Context(), b.Cid(), []replica.Sized{what}, m.mem[near[0]])
			if err != nil || h.Min != copies || len(h.Holders) != copies || h.AtRisk != 0 {
				t.Errorf("health %+v, %v; want %d copies", h, err, copies)
			}
			w, err := m.set[near[0]].Where(t.Context(), what, m.mem[near[0]])
			if err != nil || w.Copies != copies {
				t.Errorf("where %+v, %v; want %d copies", w, err, copies)
			}
			var holders []peer.ID
			for _, a := range w.Answers {
				if a.Holder {
					holders = append(holders, a.Peer)
				}
				if a.Holder && a.Says != blocks.SaysProved {
					t.Errorf("holder %s: %s", a.Peer, a.Says)
				}
			}
			if want := slices.Concat(near[:r], near[10:][:copies-r]); !slices.Equal(holders, want) {
				t.Errorf("holders %v, want %v", holders, want)
			}
		})
	}
}

// looked is a network of which it is counted how often somebody is looked for.
type looked struct {
	*world
	times atomic.Int64
}

func (l *looked) Closest(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, bool, error) {
	l.times.Add(1)
	return l.world.Closest(ctx, h, n)
}

// A stranger that offers, or asks for, blocks from all over the keyspace has this peer look for
// the neighbourhoods of none that it is too far from; the control does not know who is near.
func TestAStrangersKeysAreNotLookedFor(t *testing.T) {
	for _, known := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			all := street{ids: named(400), of: map[peer.ID]keyspace.Group{}}
			me := all.ids[0]
			w := &looked{world: newWorld(all.ids...)}
			cfg := replica.Config{Quota: 1}
			if known {
				cfg.Places = all
			}
			mem := new(blockstest.Mem)
			s := replica.New(me, mem, mem, w, w, cfg)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); _ = s.Run(ctx) }()
			defer func() { cancel(); <-done }()
			l := grant(t, 1, 1, func(l *blocks.Lease) { l.Bytes = 0 })
			mine := uint64(0)
			for !slices.Contains(all.Nearby(bytesOf(mine, 100).Hash(), 3), me) {
				mine++
			}
			if says, err := s.Offer(t.Context(), "stranger", l, []wire.Item{{Hash: bytesOf(mine, 100).Hash(), Size: 100}}); err != nil || says[0] != wire.Full {
				t.Fatal(says, err) // it is asked for room that it has not got
			}
			own := w.times.Load()
			for i, n := uint64(1000), 0; n < 16; i++ {
				h := bytesOf(i, 100).Hash()
				if slices.Contains(all.Nearby(h, 128), me) {
					continue
				}
				n++
				if says, err := s.Offer(t.Context(), "stranger", l, []wire.Item{{Hash: h, Size: 100}}); err != nil || says[0] != wire.NotResponsible {
					t.Fatal(says, err)
				}
				s.InPlace(h)
			}
			offered := w.times.Load() - own
			time.Sleep(time.Hour)
			wanted := w.times.Load() - own - offered - 4 // it asks four times who took what it refused
			if known != (offered == 0) || known != (wanted <= 0) {
				t.Errorf("known who is near: %v; looked %d times for what was offered, %d times for what was asked for", known, offered, wanted)
			}
		})
	}
}
