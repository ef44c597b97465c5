package keyspace_test

import (
	"slices"
	"testing"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

func key(t *rapid.T, name string) (k keyspace.Key) {
	copy(k[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
	return k
}

// XOR is a metric, and one with a single point at each distance.
func TestMetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := key(t, "a"), key(t, "b"), key(t, "c")
		d := keyspace.Distance
		if d(a, b) != d(b, a) || d(a, a) != (keyspace.Key{}) {
			t.Fatal("not symmetric, or not zero at itself")
		}
		if d(a, c) != keyspace.Distance(d(a, b), d(b, c)) {
			t.Fatal("distances do not compose")
		}
		if d(a, b) == d(a, c) && b != c {
			t.Fatal("two points at one distance")
		}
	})
}

// One peer more takes at most one place among the n nearest: placement moves
// no more than it must.
func TestNearestMovesLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringN(8, 8, -1), 2, 40, rapid.ID[string]).Draw(t, "peers")
		var ps []peer.ID
		for _, s := range ids {
			ps = append(ps, peer.ID(s))
		}
		n, k := rapid.IntRange(1, 8).Draw(t, "n"), key(t, "k")
		before := keyspace.Nearest(k, ps[1:], n)
		after := keyspace.Nearest(k, ps, n)
		gone := 0
		for _, p := range before {
			if !slices.Contains(after, p) {
				gone++
			}
		}
		if gone > 1 {
			t.Fatalf("%d of %d left", gone, n)
		}
	})
}
