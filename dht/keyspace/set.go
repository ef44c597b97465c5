package keyspace

import (
	"bytes"
	"iter"
	"slices"
	"sort"
)

// Set is peers' keys in ascending order, each once. Its order is that of a tree of
// prefixes: all keys under one prefix stand together.
type Set []Key

// SetOf sorts keys, and leaves them as they were.
func SetOf(keys []Key) Set {
	s := Set(slices.Clone(keys))
	slices.SortFunc(s, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(s)
}

// Find gives the place of k, or the one it would have.
func (s Set) Find(k Key) (int, bool) {
	return slices.BinarySearchFunc(s, k, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
}

// Under gives the part of s that lies under p, as places from lo to before hi.
func (s Set) Under(p Prefix) (lo, hi int) {
	lo, _ = s.Find(p.Key)
	return lo, lo + sort.Search(len(s)-lo, func(i int) bool { return CommonPrefix(p.Key, s[lo+i]) < p.Bits })
}

// split gives where the bit at place i turns to one, in a part of s that shares all before it.
func (s Set) split(lo, hi, i int) int {
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); s[mid].bit(i) == 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// Rank counts the keys of s that are closer to x than p is; p need not be among
// them. The holders of x among r are those of rank below r.
func (s Set) Rank(x, p Key) (n int) {
	for lo, hi := 0, len(s); lo < hi; {
		i := CommonPrefix(s[lo], s[hi-1]) // all of this part share i bits
		if j := CommonPrefix(p, s[lo]); j < i || i == 256 {
			if j < 256 && x.bit(j) != p.bit(j) {
				n += hi - lo // p stands on the far side of x, all of these on the near one
			}
			return n
		}
		mid := s.split(lo, hi, i)
		if p.bit(i) == 1 {
			lo, mid = mid, lo // mid is now where the other side begins
			if x.bit(i) == 0 {
				n += lo - mid
			}
		} else {
			if x.bit(i) == 1 {
				n += hi - mid
			}
			hi = mid
		}
	}
	return n
}

// Nearest gives the places of the n keys closest to x, nearest first.
func (s Set) Nearest(x Key, n int) []int {
	out := make([]int, 0, min(n, len(s)))
	return s.nearest(x, n, 0, len(s), out)
}

func (s Set) nearest(x Key, n, lo, hi int, out []int) []int {
	if lo >= hi || len(out) >= n {
		return out
	}
	if hi-lo == 1 {
		return append(out, lo)
	}
	i := CommonPrefix(s[lo], s[hi-1])
	mid := s.split(lo, hi, i)
	if x.bit(i) == 1 {
		return s.nearest(x, n, lo, mid, s.nearest(x, n, mid, hi, out))
	}
	return s.nearest(x, n, mid, hi, s.nearest(x, n, lo, mid, out))
}

// siblings gives, for the bits of p's path from the first on, how many keys stand
// beside it: under the prefix that shares the bits before and differs in that one.
// It ends where p is alone.
func (s Set) siblings(p Key) iter.Seq2[int, int] {
	return func(yield func(bit, n int) bool) {
		lo, hi := 0, len(s)
		for i := 0; i < 256 && lo < hi && (hi-lo > 1 || s[lo] != p); i++ {
			mid := s.split(lo, hi, i)
			n := mid - lo
			if p.bit(i) == 0 {
				n = hi - mid
				hi = mid
			} else {
				lo = mid
			}
			if !yield(i, n) {
				return
			}
		}
	}
}

// Depth is how many bits of p every key shares that p can be one of the r closest
// to: the deepest d such that beside each of the first d bits of its path there are
// at least r keys. For a key that differs from p before, those r are closer.
func (s Set) Depth(p Key, r int) (d int) {
	for _, n := range s.siblings(p) {
		if n < r {
			break
		}
		d++
	}
	return d
}

// Neighbours gives the places of those that share a key with p: there is an x that
// both are among the r closest to. p itself is not one of them.
func (s Set) Neighbours(p Key, r int) (out []int) {
	// What they share lies in the zones of both, so one zone lies in the other; and
	// beyond the next shorter prefix of p's there are r keys closer to all of p's own.
	lo, hi := s.Under(PrefixOf(p, max(s.Depth(p, r)-1, 0)))
	for i := lo; i < hi; i++ {
		if s[i] != p && s.share(p, s[i], r) {
			out = append(out, i)
		}
	}
	return out
}

// share reports whether some x has both p and q among its r closest. Each bit in
// which x differs from a peer's costs that peer what stands beside it there; where
// the two differ x pays for one of them, and each may pay less than r.
func (s Set) share(p, q Key, r int) bool {
	cost := func(k Key) (c [256]int) {
		for i, n := range s.siblings(k) {
			c[i] = n
		}
		return c
	}
	cp, cq := cost(p), cost(q)
	best := make([]int, r) // best[a] is the least that q pays when p pays a
	for a := range best {
		best[a] = r
	}
	best[0] = 0
	for i := CommonPrefix(p, q); i < 256; i++ {
		if p.bit(i) == q.bit(i) {
			continue
		}
		for a := r - 1; a >= 0; a-- { // downward: best[a-cp] is still that of the bits before
			agree := best[a] + cq[i] // x goes with p
			if cp[i] <= a && best[a-cp[i]] < agree {
				agree = best[a-cp[i]] // x goes with q
			}
			best[a] = min(agree, r)
		}
	}
	return slices.Min(best) < r
}

// Family is a set of keys by some of their bits: those of Bits where Mask is one.
type Family struct{ Bits, Mask Key }

// Has reports whether x is of the family.
func (f Family) Has(x Key) bool {
	for i := range x {
		if (x[i]^f.Bits[i])&f.Mask[i] != 0 {
			return false
		}
	}
	return true
}

// Families yields what p is one of the r closest to: every such key is of one
// family, and of no other. A list of prefixes would be far longer, because the
// order of peers depends on later bits too; a few families do for an ordinary set.
func (s Set) Families(p Key, r int) iter.Seq[Family] {
	var at, cost []int // the bits beside which there is somebody
	for i, n := range s.siblings(p) {
		if n > 0 {
			at, cost = append(at, i), append(cost, n)
		}
	}
	base := Family{Bits: p}
	for _, i := range at {
		base.Mask[i/8] |= 0x80 >> (i % 8)
	}
	return func(yield func(Family) bool) {
		var walk func(f Family, next, left int) bool
		walk = func(f Family, next, left int) bool {
			if !yield(f) {
				return false
			}
			for j := next; j < len(at); j++ {
				if cost[j] <= left {
					g := f
					g.Bits[at[j]/8] ^= 0x80 >> (at[j] % 8)
					if !walk(g, j+1, left-cost[j]) {
						return false
					}
				}
			}
			return true
		}
		walk(base, 0, r-1)
	}
}
