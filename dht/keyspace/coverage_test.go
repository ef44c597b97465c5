package keyspace_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"pgregory.net/rapid"
)

// What a true answer of the K closest shows whole holds no peer that the answer
// lacks, an answer of fewer than K shows everything, and one in full never does.
func TestShownNeverOverclaims(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, k := rapid.IntRange(0, 200).Draw(t, "n"), rapid.IntRange(1, 20).Draw(t, "K")
		s := keyspace.SetOf(crowd(t, n))
		target := point(t, s)
		near := s.Nearest(target, k)
		answer := []keyspace.Key{}
		for _, i := range near {
			answer = append(answer, s[i])
		}
		for _, p := range keyspace.Shown(target, answer, k) {
			if p.Bits == 0 && len(answer) == k {
				t.Fatal("everything is claimed of a full answer")
			}
			lo, hi := s.Under(p)
			for i := lo; i < hi; i++ {
				if !slices.Contains(near, i) {
					t.Fatalf("%d bits claimed, but a peer there is not in the answer", p.Bits)
				}
			}
		}
		if len(answer) < k && !slices.Contains(keyspace.Shown(target, answer, k), keyspace.Prefix{}) {
			t.Fatal("a small network is not seen whole")
		}
	})
}

// Invariant 3, its pure half: where coverage says that all nearer than the n-th is
// known, the n nearest known are the n nearest there are.
func TestWhatIsCoveredIsExact(t *testing.T) {
	exact, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		const k = 8
		now := time.Unix(1000, 0)
		s := keyspace.SetOf(crowd(t, rapid.IntRange(1, 300).Draw(t, "N")))
		var c keyspace.Coverage
		known := map[keyspace.Key]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "lookups") {
			x, answer := point(t, s), []keyspace.Key(nil)
			for _, i := range s.Nearest(x, k) {
				answer = append(answer, s[i])
				known[s[i]] = true
			}
			for _, p := range keyspace.Shown(x, answer, k) {
				c.Cover(p, now, now.Add(time.Minute))
			}
		}
		var mine keyspace.Set
		for p := range known {
			mine = append(mine, p)
		}
		mine = keyspace.SetOf(mine)
		for range 20 {
			x, n := point(t, s), rapid.IntRange(1, 11).Draw(t, "n")
			near := mine.Nearest(x, n)
			all++
			if len(near) < n || !c.Within(x, mine[near[n-1]], now) {
				continue
			}
			exact++
			for i, j := range s.Nearest(x, n) {
				if s[j] != mine[near[i]] {
					t.Fatalf("%d is said to be exact, place %d is not", n, i)
				}
			}
		}
	})
	if exact == 0 || exact == all {
		t.Errorf("exact %d of %d: this test cannot fail", exact, all)
	}
}

// A covered part covers exactly the keys in it, and only while it is fresh; two
// halves are a whole.
func TestCoverageEndsWithItsPrefixAndItsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c keyspace.Coverage
		now := time.Unix(1000, 0)
		k, bits := key(t, "k"), rapid.IntRange(0, 40).Draw(t, "bits")
		c.Cover(keyspace.PrefixOf(k, bits), now, now.Add(time.Minute))
		x := like(k, key(t, "x"), rapid.IntRange(0, 50).Draw(t, "shared"))
		got, until, ok := c.Covered(x, now)
		if want := keyspace.CommonPrefix(k, x) >= bits; ok != want || ok && (got.Bits != bits || !until.Equal(now.Add(time.Minute))) {
			t.Fatalf("covered = %v, %v, %v; want %v at %d bits", got, until, ok, want, bits)
		}
		if _, _, ok := c.Covered(k, now.Add(time.Minute)); ok {
			t.Fatal("covered after its time")
		}
		c.Cover(keyspace.PrefixOf(k, bits), now, now.Add(2*time.Minute))
		if bits > 0 {
			other := k
			other[(bits-1)/8] ^= 0x80 >> ((bits - 1) % 8)
			c.Cover(keyspace.PrefixOf(other, bits), now, now.Add(time.Minute))
			if got, until, ok := c.Covered(k, now); !ok || got.Bits != bits-1 || !until.Equal(now.Add(time.Minute)) {
				t.Fatalf("two halves cover %v, %v, %v", got, until, ok)
			}
		}
	})
}
