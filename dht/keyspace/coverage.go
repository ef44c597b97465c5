package keyspace

import "time"

// Coverage remembers which parts of the keyspace have been seen whole: for each
// prefix in it every member below was known when it was entered. It is not safe
// for concurrent use. The zero value covers nothing.
type Coverage struct {
	until map[prefix]time.Time
	deep  int // the longest prefix entered, in bits
}

type prefix struct {
	key  Key // all bits after the first n are zero
	bits int
}

// maxCovered bounds the prefixes remembered; beyond it the oldest knowledge goes.
const maxCovered = 8192

// Cover enters the part of the keyspace that shares its first bits with k.
func (c *Coverage) Cover(k Key, bits int, until time.Time) {
	if c.until == nil || len(c.until) >= maxCovered {
		c.until, c.deep = make(map[prefix]time.Time), 0
	}
	c.until[cut(k, bits)] = until
	c.deep = max(c.deep, bits)
}

// Covered gives the length in bits of the shortest prefix of k that is covered
// at now, and false when none is.
func (c *Coverage) Covered(k Key, now time.Time) (bits int, ok bool) {
	for bits := 0; bits <= c.deep && len(c.until) > 0; bits++ {
		p := cut(k, bits)
		until, in := c.until[p]
		if !in {
			continue
		}
		if until.After(now) {
			return bits, true
		}
		delete(c.until, p)
	}
	return 0, false
}

// Forget uncovers every prefix of k.
func (c *Coverage) Forget(k Key) {
	for bits := 0; bits <= c.deep; bits++ {
		delete(c.until, cut(k, bits))
	}
}

// Seen says how much of the keyspace around target an answer of the closest
// peers shows whole: all that shares more bits with target than the farthest of
// them does, and everything when the answer has fewer peers than were asked for.
func Seen(target Key, closest []Key, asked int) (bits int) {
	if len(closest) < asked {
		return 0
	}
	bits = 256
	for _, k := range closest {
		bits = min(bits, CommonPrefix(target, k)+1)
	}
	return min(bits, 256)
}

func cut(k Key, bits int) prefix {
	whole := bits / 8
	for i := whole; i < len(k); i++ {
		switch {
		case i > whole || bits%8 == 0:
			k[i] = 0
		default:
			k[i] &= 0xff << (8 - bits%8)
		}
	}
	return prefix{k, bits}
}
