package wire

import (
	"bytes"
	"math"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	mh "github.com/multiformats/go-multihash"
	"google.golang.org/protobuf/encoding/protowire"
)

// message is one of the messages; all of them are pointers.
type message interface {
	number() protowire.Number                                     // in the oneof
	fields(b []byte) []byte                                       // appends them
	take(num protowire.Number, v uint64, raw []byte) (known bool) // one of them: a number or bytes
}

// blank makes the message of a number, or nil.
func blank(num protowire.Number) message {
	all := [...]func() message{
		1:  func() message { return new(offer) },
		2:  func() message { return new(want) },
		3:  func() message { return new(data) },
		4:  func() message { return new(ack) },
		5:  func() message { return new(credit) },
		6:  func() message { return new(get) },
		7:  func() message { return new(miss) },
		8:  func() message { return new(cancel) },
		9:  func() message { return new(have) },
		10: func() message { return new(haveR) },
		11: func() message { return new(busy) },
		12: func() message { return new(leases) },
		13: func() message { return new(leasesR) },
		14: func() message { return new(part) },
		15: func() message { return new(naming) },
		16: func() message { return new(named) },
		17: func() message { return new(putRecord) },
		18: func() message { return new(getRecord) },
		19: func() message { return new(record) },
	}
	if num < 1 || int(num) >= len(all) {
		return nil
	}
	return all[num]()
}

// encode appends the Msg of m to b.
func encode(b []byte, m message) []byte {
	b = protowire.AppendTag(b, m.number(), protowire.BytesType)
	return protowire.AppendBytes(b, m.fields(nil))
}

// decode reads what encode wrote, and only that. What it gives keeps parts of frame.
func decode(frame []byte) (message, error) {
	num, typ, n := protowire.ConsumeTag(frame)
	if n < 0 || typ != protowire.BytesType {
		return nil, malformed("no message")
	}
	body, k := protowire.ConsumeBytes(frame[n:])
	if k < 0 || n+k != len(frame) {
		return nil, malformed("message %d is cut short", num)
	}
	m := blank(num)
	if m == nil {
		return nil, malformed("message %d is not known", num)
	}
	if !parse(body, m.take) {
		return nil, malformed("message %d", num)
	}
	if !bytes.Equal(encode(make([]byte, 0, len(frame)), m), frame) {
		return nil, malformed("message %d is not in its one form", num)
	}
	return m, nil
}

// parse hands each field of b to take, until that does not know one.
func parse(b []byte, take func(num protowire.Number, v uint64, raw []byte) bool) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		var v uint64
		var raw []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			raw, n = protowire.ConsumeBytes(b)
			if raw == nil {
				raw = []byte{}
			}
		default:
			return false
		}
		if n < 0 || !take(num, v, raw) {
			return false
		}
		b = b[n:]
	}
	return true
}

func number[T uint32 | uint64](b []byte, num protowire.Number, v T) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

func optional(b []byte, num protowire.Number, raw []byte) []byte {
	if len(raw) == 0 {
		return b
	}
	return repeated(b, num, raw)
}

func repeated(b []byte, num protowire.Number, raw []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), raw)
}

// u32 takes a number that must have 32 bits.
func u32(to *uint32, v uint64, raw []byte) bool {
	*to = uint32(v)
	return raw == nil && v <= math.MaxUint32
}

func u64(to *uint64, v uint64, raw []byte) bool {
	*to = v
	return raw == nil
}

// some takes bytes up to a limit.
func some(to *[]byte, raw []byte, limit int) bool {
	*to = raw
	return raw != nil && len(raw) <= limit
}

// each takes one more of repeated bytes.
func each(to *[][]byte, raw []byte, limit, most int) bool {
	*to = append(*to, raw)
	return raw != nil && len(raw) <= limit && len(*to) <= most
}

func key(to *mh.Multihash, raw []byte) bool {
	h, err := mh.Cast(raw)
	*to = h
	return err == nil && len(raw) <= maxKey
}

func (i *item) fields(b []byte) []byte {
	b = optional(b, 1, i.hash)
	b = number(b, 2, i.size)
	b = number(b, 3, i.flags)
	b = number(b, 4, i.kind)
	return number(b, 5, i.copys)
}

func (i *item) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return key(&i.hash, raw)
	case 2:
		return u32(&i.size, v, raw)
	case 3:
		return u32(&i.flags, v, raw)
	case 4:
		return u32(&i.kind, v, raw)
	case 5:
		return u32(&i.copys, v, raw)
	}
	return false
}

func items(b []byte, num protowire.Number, all []item) []byte {
	for i := range all {
		b = repeated(b, num, all[i].fields(nil))
	}
	return b
}

func takeItem(to *[]item, raw []byte) bool {
	var i item
	ok := raw != nil && parse(raw, i.take) && len(i.hash) > 0
	*to = append(*to, i)
	return ok && len(*to) <= Batch
}

func members(b []byte, num protowire.Number, all []peer.AddrInfo) []byte {
	for _, m := range all {
		e := optional(nil, 1, []byte(m.ID))
		for _, a := range m.Addrs[:min(len(m.Addrs), maxAddrs)] {
			if more := repeated(e, 2, a.Bytes()); len(more) <= maxMember {
				e = more
			}
		}
		b = repeated(b, num, e)
	}
	return b
}

func takeMember(to *[]peer.AddrInfo, raw []byte) bool {
	var m peer.AddrInfo
	ok := raw != nil && len(raw) <= maxMember && parse(raw, func(num protowire.Number, _ uint64, raw []byte) bool {
		switch num {
		case 1:
			id, err := peer.IDFromBytes(raw)
			m.ID = id
			return err == nil
		case 2:
			a, err := ma.NewMultiaddrBytes(raw)
			if err != nil || len(m.Addrs) == maxAddrs {
				return false
			}
			m.Addrs = append(m.Addrs, a)
			return true
		}
		return false
	})
	*to = append(*to, m)
	return ok && m.ID != "" && len(*to) <= maxCloser
}
