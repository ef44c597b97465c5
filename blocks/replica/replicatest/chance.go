package replicatest

import (
	"math"
	"slices"
)

// LogAllDead is the logarithm of the chance that r given members of n are all among k
// that die at once: (k choose r) / (n choose r), hypergeometric.
func LogAllDead(n, k, r int) float64 {
	sum := 0.0
	for i := range r {
		if k-i <= 0 {
			return math.Inf(-1)
		}
		sum += math.Log(float64(k-i)) - math.Log(float64(n-i))
	}
	return sum
}

// AllDead is the chance that r given members of n are all among k that die at once.
func AllDead(n, k, r int) float64 { return math.Exp(LogAllDead(n, k, r)) }

// Extra is how many holders a block has on average beside the r closest of it, when all
// members are of nets with so many members each, of one net at most so many count, and r that
// do are found: as many as of the r closest do not count, each net's share of which is
// hypergeometric.
func Extra(nets []int, r, most int) float64 {
	n, counted := 0, 0.0
	for _, size := range nets {
		n += size
	}
	choose := func(n, k int) float64 {
		c := 1.0
		for i := range k {
			c = c * float64(n-i) / float64(i+1)
		}
		return max(c, 0)
	}
	for _, size := range nets {
		for k := 1; k <= r; k++ {
			counted += float64(min(k, most)) * choose(size, k) * choose(n-size, r-k) / choose(n, r)
		}
	}
	return float64(r) - counted
}

// Deviation is the standard deviation of how many blocks are lost when k of n members die
// at once, given which r members hold each block: blocks that share holders die together.
func Deviation(holders [][]int, n, k int) float64 {
	type group struct {
		who   []int
		count float64
	}
	var groups []group
	sets := slices.Clone(holders)
	for i := range sets {
		sets[i] = slices.Sorted(slices.Values(sets[i]))
	}
	slices.SortFunc(sets, slices.Compare)
	for _, s := range sets {
		if last := len(groups) - 1; last >= 0 && slices.Equal(groups[last].who, s) {
			groups[last].count++
			continue
		}
		groups = append(groups, group{s, 1})
	}
	if len(groups) == 0 {
		return 0
	}
	r := len(groups[0].who)
	dead := make([]float64, 2*r+1) // by how many members must die
	for i := range dead {
		dead[i] = AllDead(n, k, i)
	}
	by := make([][]int, n) // the groups that each member holds
	for g, x := range groups {
		for _, m := range x.who {
			by[m] = append(by[m], g)
		}
	}
	total, sum := float64(len(holders)), 0.0
	shared := make([]int, len(groups))
	var touched []int
	near := 0.0 // the weight of pairs that share somebody
	for _, a := range groups {
		for _, m := range a.who {
			for _, g := range by[m] {
				if shared[g]++; shared[g] == 1 {
					touched = append(touched, g)
				}
			}
		}
		for _, g := range touched {
			w := a.count * groups[g].count
			sum += w * dead[2*r-shared[g]]
			near += w
			shared[g] = 0
		}
		touched = touched[:0]
	}
	sum += (total*total - near) * dead[2*r]
	mean := total * dead[r]
	return math.Sqrt(max(sum-mean*mean, 0))
}

// LossInWaves is the expected share of blocks lost when waves of k of n members each
// die, every holder's seat stays empty for stay waves, and is full again after it: a
// chain over how many of r copies were lost in each of the last waves. It takes deaths
// as independent and repair as never failing while one copy lives; with urgent, a block
// with fewer than low live copies is whole again before the next wave.
func LossInWaves(n, k, r, waves, stay, low int) float64 {
	state := map[string]float64{string(make([]byte, stay)): 1}
	lost := 0.0
	for w := range waves {
		p := float64(k) / float64(n-w*k)
		next := map[string]float64{}
		for s, prob := range state {
			away := 0
			for _, x := range []byte(s) {
				away += int(x)
			}
			live := r - away
			for d := 0; d <= live; d++ {
				q := prob * binomial(live, d, p)
				switch left := live - d; {
				case left == 0:
					lost += q
				case left < low:
					next[string(make([]byte, stay))] += q
				case stay == 0:
					next[""] += q
				default:
					next[s[1:]+string([]byte{byte(d)})] += q
				}
			}
		}
		state = next
	}
	return lost
}

func binomial(n, k int, p float64) float64 {
	c := 1.0
	for i := range k {
		c = c * float64(n-i) / float64(i+1)
	}
	return c * math.Pow(p, float64(k)) * math.Pow(1-p, float64(n-k))
}

// LossInChurn is the expected share of blocks lost in the given hours when each holder
// goes for ever at the rate of away an hour and each missing copy takes back hours to
// come, or urgent hours where fewer than low are left: a birth and death chain whose
// last state is never left.
func LossInChurn(r int, away, back, urgent float64, low int, hours float64) float64 {
	h, mean := 0.0, 0.0 // from j missing copies to j+1, and summed
	for j := range r {
		b := float64(r-j) * away
		d := float64(j) / back
		if r-j < low {
			d = float64(j) / urgent
		}
		h = (1 + d*h) / b
		mean += h
	}
	return -math.Expm1(-hours / mean)
}

// Gone is the share of the first members that have gone after hours, of which each goes
// at the rate of away an hour.
func Gone(away, hours float64) float64 { return -math.Expm1(-away * hours) }

// Unnoticed is the chance that a loss of the given share of a peer's blocks is seen by none
// of n neighbours within the mean time between two audits, when each asks for proofs of k
// blocks at times that are the mean ± half apart: one of eight does not ask at all.
func Unnoticed(n, k int, share float64) float64 {
	const asks = 7.0 / 8
	return math.Pow(1-asks*(1-math.Pow(1-share, float64(k))), float64(n))
}
