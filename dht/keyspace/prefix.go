package keyspace

// Prefix is a part of the keyspace: the keys that begin with the first Bits of Key,
// whose other bits are zero. Prefixes compare with ==.
type Prefix struct {
	Key  Key
	Bits int // 0 to 256; 0 is all
}

// PrefixOf is the part of the keyspace around k that shares its first bits.
func PrefixOf(k Key, bits int) Prefix {
	if whole := bits / 8; whole < len(k) {
		k[whole] &= ^(byte(0xff) >> (bits % 8))
		clear(k[whole+1:])
	}
	return Prefix{k, bits}
}

// Has reports whether k lies in p.
func (p Prefix) Has(k Key) bool { return CommonPrefix(p.Key, k) >= p.Bits }

// sibling is the other half of the part that is one bit wider.
func (p Prefix) sibling() Prefix {
	p.Key[(p.Bits-1)/8] ^= 0x80 >> ((p.Bits - 1) % 8)
	return p
}

func (k Key) bit(i int) byte { return k[i/8] >> (7 - i%8) & 1 }

// pieces bounds what one answer is cut into: the first is the most of it, the
// sixteenth some 2^-16 of that.
const pieces = 16

// Shown says which parts of the keyspace an answer to "who are the asked closest to
// target?" shows whole, if the answer is true. An answer of fewer than asked for
// shows everything; one in full shows all that is closer to target than the farthest
// of it, cut into prefixes. It says nothing of what lies beyond.
func Shown(target Key, answer []Key, asked int) []Prefix {
	if len(answer) < asked {
		return []Prefix{{}}
	}
	var far Key
	for _, k := range answer {
		if d := Distance(target, k); Closer(Key{}, d, far) > 0 {
			far = d
		}
	}
	var out []Prefix
	edge := Distance(target, far)
	for i := 0; i < 256 && len(out) < pieces; i++ {
		if far.bit(i) == 1 {
			out = append(out, PrefixOf(edge, i+1).sibling())
		}
	}
	return out
}
