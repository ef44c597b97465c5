package dag

import "github.com/multiformats/go-multicodec"

// MaxValues is how many values (numbers, texts, lists, maps, links) a block may have for it
// to be decoded for a stranger. Each takes some 150 bytes of memory, so that this is 40 MB.
const MaxValues = 1 << 18

// Values counts the values in a block of CBOR or JSON, roughly, without decoding it and
// without memory; it stops counting above [MaxValues] and where the data is not well formed.
// Of another codec it is 0.
func Values(codec uint64, data []byte) int {
	switch multicodec.Code(codec) {
	case multicodec.DagCbor, multicodec.Cbor:
		return valuesCBOR(data)
	case multicodec.DagJson, multicodec.Json:
		return valuesJSON(data)
	}
	return 0
}

// valuesCBOR goes from head to head (RFC 8949, 3): those of lists, maps and tags are followed
// by other heads, those of bytes and texts by what they hold.
func valuesCBOR(b []byte) (n int) {
	for len(b) > 0 && n <= MaxValues {
		n++
		major, info := b[0]>>5, b[0]&31
		b = b[1:]
		arg := uint64(info)
		if info >= 24 {
			width := 1 << (info - 24)
			if info > 27 || len(b) < width {
				return n // lists without a length are not allowed in a block
			}
			arg = 0
			for _, x := range b[:width] {
				arg = arg<<8 | uint64(x)
			}
			b = b[width:]
		}
		if major == 2 || major == 3 {
			if uint64(len(b)) < arg {
				return n
			}
			b = b[arg:]
		}
	}
	return n
}

// valuesJSON counts what values begin behind or stand between.
func valuesJSON(b []byte) (n int) {
	text := false
	for i := 0; i < len(b) && n <= MaxValues; i++ {
		switch {
		case text && b[i] == '\\':
			i++
		case b[i] == '"':
			text = !text
		case text:
		case b[i] == ',', b[i] == ':', b[i] == '[', b[i] == '{':
			n++
		}
	}
	return n
}
