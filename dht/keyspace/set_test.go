package keyspace_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairn-network/cairn/dht/keyspace"
	"pgregory.net/rapid"
)

// crowd draws n keys, some of which share any number of bits with one before.
func crowd(t *rapid.T, n int) []keyspace.Key {
	rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	twins := rapid.IntRange(0, 3).Draw(t, "twins of ten")
	keys := make([]keyspace.Key, n)
	for i := range keys {
		for j := range keys[i] {
			keys[i][j] = byte(rnd.Uint32())
		}
		if i > 0 && rnd.IntN(10) < twins {
			keys[i] = like(keys[rnd.IntN(i)], keys[i], rnd.IntN(256))
		}
	}
	return keys
}

// like is k with the first bits of a.
func like(a, k keyspace.Key, bits int) keyspace.Key {
	for i := range bits {
		bit := byte(0x80 >> (i % 8))
		k[i/8] = k[i/8]&^bit | a[i/8]&bit
	}
	return k
}

func point(t *rapid.T, keys []keyspace.Key) keyspace.Key {
	x := key(t, "x")
	if len(keys) > 0 && rapid.Bool().Draw(t, "near") {
		x = like(rapid.SampledFrom(keys).Draw(t, "to"), x, rapid.IntRange(0, 256).Draw(t, "bits"))
	}
	return x
}

// Invariant 1: the rank in a sorted array is the rank by sorting everybody, and the
// nearest are the nearest, for few and many peers however crowded.
func TestRankIsThatOfSortingEverybody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := keyspace.SetOf(crowd(t, rapid.IntRange(0, 2000).Draw(t, "N")))
		x, r := point(t, s), rapid.IntRange(1, 20).Draw(t, "R")
		sorted := slices.SortedFunc(slices.Values(s), func(a, b keyspace.Key) int { return keyspace.Closer(x, a, b) })
		for i, p := range sorted {
			if got := s.Rank(x, p); got != i {
				t.Fatalf("rank %d, want %d", got, i)
			}
		}
		var near []keyspace.Key
		for _, i := range s.Nearest(x, r) {
			near = append(near, s[i])
		}
		if !slices.Equal(near, sorted[:min(r, len(sorted))]) {
			t.Fatalf("the nearest %d are %x", r, near)
		}
		stranger, closer := point(t, s), 0
		for _, p := range s {
			if keyspace.Closer(x, p, stranger) < 0 {
				closer++
			}
		}
		if got := s.Rank(x, stranger); got != closer {
			t.Fatalf("rank of one that is not there: %d, want %d", got, closer)
		}
	})
}

// Invariant 2, first half: who is one of the r closest to a key shares its zone's
// bits with it. A zone that is one bit deeper is none: the control is in the count.
func TestEveryKeyOfAPeerLiesInItsZone(t *testing.T) {
	deeper, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := keyspace.SetOf(crowd(t, rapid.IntRange(1, 500).Draw(t, "N")))
		r := rapid.IntRange(1, 20).Draw(t, "R")
		for range 20 {
			x := point(t, s)
			for _, i := range s.Nearest(x, r) {
				d := s.Depth(s[i], r)
				if !keyspace.PrefixOf(s[i], d).Has(x) {
					t.Fatalf("%x is one of the %d closest to %x, but its zone has %d bits", s[i], r, x, d)
				}
				all++
				if d < 256 && !keyspace.PrefixOf(s[i], d+1).Has(x) {
					deeper++
				}
			}
		}
	})
	if deeper == 0 {
		t.Errorf("a zone one bit deeper would do for all %d: this test cannot fail", all)
	}
}

// Invariant 2, second half: the neighbours are those that share a key, no more and
// no fewer, and the families are the keys, each once. Keys of ten bits can all be tried.
func TestNeighboursAreThoseWhoShareAKey(t *testing.T) {
	const bits = 10
	short := func(i int) keyspace.Key { return keyspace.Key{byte(i >> 2), byte(i << 6)} }
	rapid.Check(t, func(t *rapid.T) {
		var keys []keyspace.Key
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 1<<bits-1), 1, 60, rapid.ID[int]).Draw(t, "peers") {
			keys = append(keys, short(i))
		}
		s, r := keyspace.SetOf(keys), rapid.IntRange(1, 8).Draw(t, "R")
		shared := make([]map[int]bool, len(s))
		mine := make([]map[int]bool, len(s))
		for i := range s {
			shared[i], mine[i] = map[int]bool{}, map[int]bool{}
		}
		for x := range 1 << bits {
			near := s.Nearest(short(x), r)
			for _, i := range near {
				mine[i][x] = true
				for _, j := range near {
					if i != j {
						shared[i][j] = true
					}
				}
			}
		}
		for i, p := range s {
			got := s.Neighbours(p, r)
			for _, j := range got {
				if !shared[i][j] {
					t.Fatalf("%d and %d share nothing (r = %d)", i, j, r)
				}
			}
			if len(got) != len(shared[i]) {
				t.Fatalf("%d neighbours of %d, want %d (r = %d)", len(got), i, len(shared[i]), r)
			}
			for x := range 1 << bits {
				n := 0
				for f := range s.Families(p, r) {
					if f.Has(short(x)) {
						n++
					}
				}
				if n > 1 || (n == 1) != mine[i][x] {
					t.Fatalf("key %d is of %d families of %d; one of its own: %v", x, n, i, mine[i][x])
				}
			}
		}
	})
}

// An ordinary peer may share keys with seven others or so, at most 21, in a network
// of any size, and has few families.
func TestAZoneIsSmallInALargeNetwork(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1000, 20_000} {
		keys := make([]keyspace.Key, n)
		for i := range keys {
			for j := range keys[i] {
				keys[i][j] = byte(rnd.Uint32())
			}
		}
		s, sum, families := keyspace.SetOf(keys), 0, 0
		for i := range 200 {
			got := len(s.Neighbours(s[i*n/200], 5))
			if got > 21 {
				t.Errorf("%d neighbours of %d peers", got, n)
			}
			sum += got
			for range s.Families(s[i*n/200], 5) {
				families++
			}
		}
		if mean := float64(sum) / 200; mean < 5.5 || mean > 9 {
			t.Errorf("%.1f neighbours of %d peers", mean, n)
		}
		t.Logf("%d peers: %.1f neighbours, %.1f families", n, float64(sum)/200, float64(families)/200)
	}
}

func BenchmarkRank(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	keys := make([]keyspace.Key, 10_000)
	for i := range keys {
		for j := range keys[i] {
			keys[i][j] = byte(rnd.Uint32())
		}
	}
	s, i := keyspace.SetOf(keys), 0
	for b.Loop() {
		i++
		s.Rank(keys[i%len(keys)], keys[(i*7+1)%len(keys)])
	}
}
