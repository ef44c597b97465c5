package rbsr

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"
)

// Key is what sets are made of; its bytes should be those of a hash.
type Key = [32]byte

// sum adds keys, taken as numbers, modulo 2^256; the lowest limb comes first.
type sum [4]uint64

func (s *sum) add(k *Key) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.BigEndian.Uint64(k[24-8*i:]), carry)
	}
}

func (s sum) minus(t sum) sum {
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], t[i], borrow)
	}
	return s
}

// Set is keys in ascending order, each once. It never changes, and may be used by many
// goroutines at once. It takes 64 bytes a key.
type Set struct {
	keys []Key
	sums []sum // sums[i] is that of keys[:i]
}

// NewSet makes a set of keys, which it leaves as they were.
func NewSet(keys []Key) *Set {
	s := &Set{keys: slices.Clone(keys)}
	slices.SortFunc(s.keys, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	s.keys = slices.Compact(s.keys)
	s.sums = make([]sum, len(s.keys)+1)
	for i := range s.keys {
		s.sums[i+1] = s.sums[i]
		s.sums[i+1].add(&s.keys[i])
	}
	return s
}

// Len is the number of keys.
func (s *Set) Len() int { return len(s.keys) }

// At is the key at place i, from the lowest.
func (s *Set) At(i int) Key { return s.keys[i] }

// Has reports whether k is one of s.
func (s *Set) Has(k Key) bool {
	i := s.before(bound{key: k})
	return i < len(s.keys) && s.keys[i] == k
}

// before counts the keys below b.
func (s *Set) before(b bound) int {
	if b.end {
		return len(s.keys)
	}
	return sort.Search(len(s.keys), func(i int) bool { return bytes.Compare(s.keys[i][:], b.key[:]) >= 0 })
}

// print is the fingerprint of the keys from place i to before j.
func (s *Set) print(i, j int) fingerprint {
	var b [40]byte
	d := s.sums[j].minus(s.sums[i])
	for k, limb := range d {
		binary.BigEndian.PutUint64(b[24-8*k:], limb)
	}
	binary.BigEndian.PutUint64(b[32:], uint64(j-i))
	h := sha256.Sum256(b[:])
	return fingerprint(h[:printSize])
}

// part gives the shortest bound between the keys at i-1 and i.
func (s *Set) part(i int) bound {
	a, b := &s.keys[i-1], &s.keys[i]
	n := 0
	for a[n] == b[n] {
		n++
	}
	var k Key
	copy(k[:], b[:n+1])
	return bound{key: k}
}
