package keyspace

import "time"

// Coverage remembers which parts of the keyspace have been seen whole: every peer
// there was known when the part was entered. It is not safe for concurrent use. The
// zero value covers nothing.
type Coverage struct {
	until map[Prefix]time.Time
	deep  int // the longest prefix entered, in bits
}

// maxCovered bounds the prefixes remembered; beyond it what is not known anew goes.
const maxCovered = 1 << 16

// Cover enters a part of the keyspace. Two halves make a whole, for as long as both stand.
func (c *Coverage) Cover(p Prefix, now, until time.Time) {
	if len(c.until) >= maxCovered {
		for q, end := range c.until {
			if !end.After(now) {
				delete(c.until, q)
			}
		}
	}
	if c.until == nil || len(c.until) >= maxCovered {
		c.until, c.deep = make(map[Prefix]time.Time), 0
	}
	c.deep = max(c.deep, p.Bits)
	for {
		if !until.After(c.until[p]) {
			return
		}
		c.until[p] = until
		if p.Bits == 0 {
			return
		}
		other := c.until[p.sibling()]
		if !other.After(now) {
			return
		}
		if other.Before(until) {
			until = other
		}
		p = PrefixOf(p.Key, p.Bits-1)
	}
}

func (c *Coverage) has(p Prefix, now time.Time) bool {
	until, ok := c.until[p]
	if ok && !until.After(now) {
		delete(c.until, p)
		return false
	}
	return ok
}

// Covered gives the widest part around k that is covered at now and until when, and
// false when there is none.
func (c *Coverage) Covered(k Key, now time.Time) (p Prefix, until time.Time, ok bool) {
	for bits := 0; bits <= c.deep && len(c.until) > 0; bits++ {
		if p := PrefixOf(k, bits); c.has(p, now) {
			return p, c.until[p], true
		}
	}
	return Prefix{}, time.Time{}, false
}

// Within reports whether all that is closer to x than far is covered at now.
func (c *Coverage) Within(x, far Key, now time.Time) bool {
	d := Distance(x, far)
	for i := 0; i <= c.deep; i++ {
		if c.has(PrefixOf(far, i), now) {
			return true // what is left lies under far's first i bits
		}
		if i < 256 && d.bit(i) == 1 && !c.has(PrefixOf(far, i+1).sibling(), now) {
			return false
		}
	}
	return false
}
