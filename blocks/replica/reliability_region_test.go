package replica_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/replica/replicatest"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// S-05: a region, a fifth of the members, dies at once, and an hour later another one. Where
// nets do not matter a member's place follows from its key and not from where it stands, so a
// region is a fifth drawn at random, and repair is all that there is between the two: the
// control has none. What it is where nets matter stands in netted.
func region(t *testing.T, s *sheet, id string) {
	const n, regions = 200, 5
	const k = n / regions
	count := pick(s, 1_000, 10_000)
	near := ring(n, count, 64, s.seed)
	for _, x := range []struct {
		name string
		r    int
		off  bool
	}{{"R=5", 5, false}, {"R=8", 8, false}, {"R=5, control, no repair", 5, true}} {
		dies := func(members int) (mean, dev float64) {
			share := replicatest.AllDead(members, k, x.r)
			who := make([][]int, count)
			for i := range who {
				who[i] = near[i][:x.r]
			}
			return float64(count) * share, replicatest.Deviation(who, n, k)
		}
		first, dev := dies(n)
		second, _ := dies(n - k)
		cfg := replicatest.Config{N: n, R: x.r, Seed: s.seed, Grace: 2 * time.Minute, Set: replica.Config{NoRepair: x.off}}
		inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
			fill(t, w, count)
			w.Run(time.Minute)
			var lost [2]int
			for i := range lost {
				for _, m := range w.Draw(k) {
					w.Kill(m)
				}
				w.Run(time.Hour)
				lost[i] = w.Lost()
			}
			add := func(name string, v float64, op string, target float64, expect string) {
				s.add(t, replicatest.Figure{ID: id, Name: name, Value: v, Op: op, Target: target, Expect: expect, Seed: s.seed})
			}
			if x.off {
				both := float64(count) * replicatest.AllDead(n, 2*k, x.r)
				add(fmt.Sprintf("lost of %d, two regions of 20%% an hour apart, %s", count, x.name), float64(lost[1]), ">", 0, fmt.Sprintf("%.3g", both))
				return
			}
			most := [2]float64{first + 3.29*dev, second + 3.29*dev}
			if x.r == 8 {
				most = [2]float64{} // of so many copies one is left
			}
			add(fmt.Sprintf("lost of %d, a region of 20%% dies, %s", count, x.name), float64(lost[0]), "<=", most[0], fmt.Sprintf("%.3g ± %.3g", first, dev))
			add(fmt.Sprintf("lost of %d, another one an hour later, %s", count, x.name), float64(lost[1]-lost[0]), "<=", most[1], fmt.Sprintf("%.3g", second))
			add(fmt.Sprintf("blocks not on their closest at the end, %s", x.name), float64(w.Short()), "<=", 0, "0")
		})
	}
	netted(t, s, id)
	nets(t, s, id)
}

// ring is n members and, of each of count blocks, the most nearest to it.
func ring(n, count, most int, seed uint64) [][]int {
	var keys []keyspace.Key
	rng := rand.New(rand.NewPCG(seed, 1))
	for range n {
		keys = append(keys, keyspace.OfPeer(peer.ID(fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64()))))
	}
	members := keyspace.SetOf(keys)
	near := make([][]int, count)
	for i := range near {
		h := blocks.New(cid.Raw, blockstest.Random(seed<<32+uint64(i), 64)).Hash()
		near[i] = members.Nearest(keyspace.OfHash(h), most)
	}
	return near
}
