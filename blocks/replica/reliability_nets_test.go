package replica_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks/replica/replicatest"
	"github.com/cairn-network/cairn/dht/keyspace"
)

// netted is S-05 where nets matter: each region is a wide net, of which two holders of a block
// count. Of many ways in which members may be spread over five regions it takes the one in
// which a region has the most blocks to itself, and lets that region die; an hour later
// another one. The control is the same death where nets do not matter. In both each block is
// on its holders to begin with, and on nobody else.
func netted(t *testing.T, s *sheet, id string) {
	const n, regions, draws = 200, 5, 2000
	count := pick(s, 200, 10_000)
	for _, r := range pick(s, []int{8}, []int{5, 8}) {
		add := func(name string, v float64, op string, target float64, expect string) {
			s.add(t, replicatest.Figure{ID: id, Name: name, Value: v, Op: op, Target: target, Expect: expect, Seed: s.seed})
		}
		cfg := replicatest.Config{N: n, R: r, Seed: s.seed, Grace: 2 * time.Minute}
		var in []int // the region of each member
		var first int
		inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
			fill(t, w, count)
			holders := make([][]int, count)
			for i := range holders {
				holders[i] = w.Holders(i)
			}
			var most int
			var mean float64
			in, first, most, mean = worst(holders, n, regions, draws, s.seed)
			w.Run(time.Minute)
			die(w, in, first)
			w.Run(time.Hour)
			add(fmt.Sprintf("lost of %d, of %d draws of 5 regions the worst region dies, R=%d, control, nets do not matter", count, draws, r),
				float64(w.Lost()), ">", 0, fmt.Sprintf("%d are on it alone; mean of all regions %.3g", most, mean))
		})
		cfg.Group = func(n int) keyspace.Group { return net(in[n], n) }
		inWorld(t, cfg, func(t *testing.T, w *replicatest.World) {
			fill(t, w, count)
			wanted := float64(w.Wanted()) / float64(count)
			w.Run(time.Minute)
			die(w, in, first)
			w.Run(5 * time.Minute)
			found := w.Reads(1000)
			w.Run(55 * time.Minute)
			lost, short := w.Lost(), w.Short()
			die(w, in, (first+1)%regions)
			w.Run(time.Hour)
			extra := replicatest.Extra(slices.Repeat([]int{n / regions}, regions), r, 2)
			add(fmt.Sprintf("lost of %d, the same region dies, R=%d, two of a region count", count, r), float64(lost), "<=", 0, "0")
			add(fmt.Sprintf("reads of 1000 found at the first try 5 min after it, R=%d, two of a region count", r), float64(found), ">=", 1000, "1000")
			add(fmt.Sprintf("blocks not on their holders an hour after it, R=%d, two of a region count", r), float64(short), "<=", 0, "0")
			add(fmt.Sprintf("lost of %d, another one an hour later, R=%d, two of a region count", count, r), float64(w.Lost()-lost), "<=", 0, "0")
			add(fmt.Sprintf("blocks not on their holders at the end, R=%d, two of a region count", r), float64(w.Short()), "<=", 0, "0")
			add(fmt.Sprintf("holders of a block, R=%d, two of a region count", r), wanted, "<=", float64(r)+2*extra, fmt.Sprintf("%.3g; this draw is no ordinary one", float64(r)+extra))
		})
	}
}

// worst draws how members are spread over regions, and gives the draw and the region that
// has most blocks to itself, and the mean of all draws and regions.
func worst(holders [][]int, n, regions, draws int, seed uint64) (in []int, region, most int, mean float64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	for range draws {
		of, alone := rng.Perm(n), make([]int, regions)
		for i := range of {
			of[i] %= regions
		}
	block:
		for _, who := range holders {
			for _, m := range who[1:] {
				if of[m] != of[who[0]] {
					continue block
				}
			}
			alone[of[who[0]]]++
		}
		for g, blocks := range alone {
			if mean += float64(blocks) / float64(draws*regions); blocks > most {
				in, region, most = of, g, blocks
			}
		}
	}
	return in, region, most, mean
}

// die kills all members of a region.
func die(w *replicatest.World, in []int, region int) {
	for _, m := range w.Live() {
		if in[m] == region {
			w.Kill(m)
		}
	}
}

// nets counts what the rule costs: the holders of a block where members are spread over nets
// in ways of which some are ordinary.
func nets(t *testing.T, s *sheet, id string) {
	const n, r = 1000, 5
	count := pick(s, 2_000, 10_000)
	near := ring(n, count, keyspace.Outward, s.seed)
	for _, x := range []struct {
		name     string
		in, many int // so many members are in so many common nets, the others in one each
	}{
		{"200 /16 of 5 members each", 1000, 200},
		{"half the members in 8 /16, the others in one each", 500, 8},
		{"half the members in one /16, the others in one each", 500, 1},
		{"four fifths in one /16, the others in one each", 800, 1},
		{"all in one /16", 1000, 1},
	} {
		rng := rand.New(rand.NewPCG(s.seed, 6))
		of, sizes := rng.Perm(n), []int(nil)
		for range x.many {
			sizes = append(sizes, x.in/x.many)
		}
		sizes = append(sizes, slices.Repeat([]int{1}, n-x.in)...)
		group := func(m int) keyspace.Group {
			i := of[m]
			if i < x.in {
				return net16(i%x.many, i/x.many)
			}
			return net16(x.many+i, 0)
		}
		copies, short := 0, 0
		for _, ns := range near {
			groups, wide := make([]keyspace.Group, len(ns)), keyspace.Spread{}
			for i, m := range ns {
				groups[i] = group(m)
				wide.Count(groups[i])
			}
			copies += len(keyspace.Holders(groups, r))
			if wide.Counted() < r {
				short++
			}
		}
		extra := replicatest.Extra(sizes, r, 2)
		if x.many == 1 && x.in == n {
			extra = 0 // nobody else counts
		}
		s.add(t, replicatest.Figure{ID: id, Name: fmt.Sprintf("holders of a block, R=%d, 1000 members, %s", r, x.name), Value: float64(copies) / float64(count),
			Op: "<=", Target: r + 1.1*extra + 0.05, Expect: fmt.Sprintf("%.4g; blocks for which not %d of 64 count: %d", r+extra, r, short), Seed: s.seed})
	}
}

// net16 is the n-th net of one of 1,000 and more wide nets.
func net16(wide, n int) keyspace.Group {
	return keyspace.Group{Net: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(20 + wide/256), byte(wide), byte(n), 0}), 24),
		Wide: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(20 + wide/256), byte(wide), 0, 0}), 16)}
}
