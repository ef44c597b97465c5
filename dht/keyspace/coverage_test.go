package keyspace_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"pgregory.net/rapid"
)

// What a true answer of the K closest shows whole holds no peer that the answer lacks.
func TestSeenNeverOverclaims(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, k := rapid.IntRange(0, 200).Draw(t, "n"), rapid.IntRange(1, 20).Draw(t, "K")
		target := key(t, "target")
		all := make([]keyspace.Key, n)
		for i := range all {
			all[i] = key(t, "peer")
			if rapid.Bool().Draw(t, "near") { // crowd the target so that long prefixes are met
				copy(all[i][:], target[:rapid.IntRange(0, 3).Draw(t, "bytes")])
			}
		}
		slices.SortFunc(all, func(a, b keyspace.Key) int { return keyspace.Closer(target, a, b) })
		answer := all[:min(k, n)]
		bits := keyspace.Seen(target, answer, k)
		for _, p := range all[len(answer):] {
			if keyspace.CommonPrefix(target, p) >= bits {
				t.Fatalf("%d bits claimed, but a peer that shares %d is not in the answer", bits, keyspace.CommonPrefix(target, p))
			}
		}
	})
}

// A covered prefix covers exactly the keys below it, and only while it is fresh.
func TestCoverageEndsWithItsPrefixAndItsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c keyspace.Coverage
		now := time.Unix(1000, 0)
		k, bits := key(t, "k"), rapid.IntRange(0, 40).Draw(t, "bits")
		c.Cover(k, bits, now.Add(time.Minute))
		x := key(t, "x")
		copy(x[:], k[:rapid.IntRange(0, 6).Draw(t, "shared")])
		got, ok := c.Covered(x, now)
		if want := keyspace.CommonPrefix(k, x) >= bits; ok != want || ok && got != bits {
			t.Fatalf("covered = %d, %v; want %v at %d bits", got, ok, want, bits)
		}
		if _, ok := c.Covered(k, now.Add(time.Minute)); ok {
			t.Fatal("covered after its time")
		}
		c.Cover(k, bits, now.Add(time.Minute))
		c.Forget(k)
		if _, ok := c.Covered(k, now); ok {
			t.Fatal("covered after Forget")
		}
	})
}
