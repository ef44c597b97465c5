package wire

import (
	"github.com/cairn-network/cairn/blocks"
	"google.golang.org/protobuf/encoding/protowire"

	mh "github.com/multiformats/go-multihash"
)

// What each message consists of, in the order of doc.go.

func (m *offer) number() protowire.Number { return 1 }
func (m *offer) fields(b []byte) []byte {
	b = items(b, 1, m.items)
	for _, id := range m.ids {
		b = repeated(b, 2, id)
	}
	b = optional(b, 3, m.record)
	return number(b, 4, m.reason)
}
func (m *offer) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return takeItem(&m.items, raw)
	case 2:
		return each(&m.ids, raw, len(blocks.LeaseID{}), maxLeases)
	case 3:
		return some(&m.record, raw, blocks.MaxLeaseSize)
	case 4:
		return u32(&m.reason, v, raw)
	}
	return false
}

func (m *want) number() protowire.Number { return 2 }
func (m *want) fields(b []byte) []byte {
	b = optional(b, 1, m.bitmap)
	b = number(b, 2, m.credit)
	for _, d := range m.deny {
		e := number(nil, 1, d.idx)
		e = number(e, 2, d.status)
		b = repeated(b, 3, members(e, 3, d.closer))
	}
	for _, g := range m.begun {
		b = repeated(b, 4, number(number(nil, 1, g.idx), 2, g.size))
	}
	return b
}
func (m *want) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return some(&m.bitmap, raw, Batch/8)
	case 2:
		return u64(&m.credit, v, raw)
	case 3:
		var d deny
		ok := raw != nil && parse(raw, func(num protowire.Number, v uint64, raw []byte) bool {
			switch num {
			case 1:
				return u32(&d.idx, v, raw)
			case 2:
				return u32(&d.status, v, raw)
			case 3:
				return takeMember(&d.closer, raw)
			}
			return false
		})
		m.deny = append(m.deny, d)
		return ok && len(m.deny) <= Batch
	case 4:
		var g begun
		ok := raw != nil && parse(raw, func(num protowire.Number, v uint64, raw []byte) bool {
			return num == 1 && u32(&g.idx, v, raw) || num == 2 && u32(&g.size, v, raw)
		})
		m.begun = append(m.begun, g)
		return ok && len(m.begun) <= Batch
	}
	return false
}

func (m *data) number() protowire.Number { return 3 }
func (m *data) fields(b []byte) []byte   { return number(number(b, 1, m.idx), 2, m.size) }
func (m *data) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return u32(&m.idx, v, raw)
	case 2:
		return u32(&m.size, v, raw) && v <= blocks.MaxSize
	}
	return false
}

func (m *ack) number() protowire.Number { return 4 }
func (m *ack) fields(b []byte) []byte {
	b = number(number(number(b, 1, m.idx), 2, m.status), 3, m.class)
	return optional(b, 4, m.peer)
}
func (m *ack) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return u32(&m.idx, v, raw)
	case 2:
		return u32(&m.status, v, raw)
	case 3:
		return u32(&m.class, v, raw)
	case 4:
		return some(&m.peer, raw, 64)
	}
	return false
}

func (m *credit) number() protowire.Number { return 5 }
func (m *credit) fields(b []byte) []byte   { return number(b, 1, m.bytes) }
func (m *credit) take(num protowire.Number, v uint64, raw []byte) bool {
	return num == 1 && u64(&m.bytes, v, raw)
}

func (m *get) number() protowire.Number { return 6 }
func (m *get) fields(b []byte) []byte   { return number(items(b, 1, m.items), 2, m.credit) }
func (m *get) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return takeItem(&m.items, raw)
	case 2:
		return u64(&m.credit, v, raw)
	}
	return false
}

func (m *miss) number() protowire.Number { return 7 }
func (m *miss) fields(b []byte) []byte   { return members(number(b, 1, m.idx), 2, m.closer) }
func (m *miss) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return u32(&m.idx, v, raw)
	case 2:
		return takeMember(&m.closer, raw)
	}
	return false
}

func (m *cancel) number() protowire.Number { return 8 }
func (m *cancel) fields(b []byte) []byte   { return number(b, 1, m.idx) }
func (m *cancel) take(num protowire.Number, v uint64, raw []byte) bool {
	return num == 1 && u32(&m.idx, v, raw)
}

func (m *have) number() protowire.Number { return 9 }
func (m *have) fields(b []byte) []byte {
	for _, h := range m.keys {
		b = repeated(b, 1, h)
	}
	b = optional(b, 2, m.nonce)
	var packed []byte
	for _, i := range m.prove {
		packed = protowire.AppendVarint(packed, uint64(i))
	}
	return optional(b, 3, packed)
}
func (m *have) take(num protowire.Number, _ uint64, raw []byte) bool {
	switch num {
	case 1:
		var h mh.Multihash
		ok := key(&h, raw)
		m.keys = append(m.keys, h)
		return ok && len(m.keys) <= Batch
	case 2:
		return some(&m.nonce, raw, nonceSize)
	case 3:
		for len(raw) > 0 {
			v, n := protowire.ConsumeVarint(raw)
			if n < 0 || v >= uint64(len(m.keys)) || len(m.prove) == Proofs {
				return false
			}
			m.prove, raw = append(m.prove, uint32(v)), raw[n:]
		}
		return true
	}
	return false
}

func (m *haveR) number() protowire.Number { return 10 }
func (m *haveR) fields(b []byte) []byte {
	b = optional(b, 1, m.here)
	for _, p := range m.proofs {
		b = repeated(b, 2, p)
	}
	return optional(b, 3, m.held)
}
func (m *haveR) take(num protowire.Number, _ uint64, raw []byte) bool {
	switch num {
	case 1:
		return some(&m.here, raw, Batch/8)
	case 2:
		return each(&m.proofs, raw, proofSize, Proofs)
	case 3:
		return some(&m.held, raw, Batch/8)
	}
	return false
}

func (m *busy) number() protowire.Number { return 11 }
func (m *busy) fields(b []byte) []byte   { return number(b, 1, m.retryMS) }
func (m *busy) take(num protowire.Number, v uint64, raw []byte) bool {
	return num == 1 && u32(&m.retryMS, v, raw)
}

func (m *leases) number() protowire.Number { return 12 }
func (m *leases) fields(b []byte) []byte   { return optional(b, 1, m.key) }
func (m *leases) take(num protowire.Number, _ uint64, raw []byte) bool {
	return num == 1 && key(&m.key, raw)
}

func (m *leasesR) number() protowire.Number { return 13 }
func (m *leasesR) fields(b []byte) []byte {
	for _, r := range m.records {
		b = repeated(b, 1, r)
	}
	return b
}
func (m *leasesR) take(num protowire.Number, _ uint64, raw []byte) bool {
	return num == 1 && each(&m.records, raw, blocks.MaxLeaseSize, maxLeases)
}

func (m *part) number() protowire.Number { return 14 }
func (m *part) fields(b []byte) []byte   { return number(optional(b, 1, m.bytes), 2, m.more) }
func (m *part) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return some(&m.bytes, raw, partSize)
	case 2:
		return u32(&m.more, v, raw) && v == 1
	}
	return false
}

func (m *naming) number() protowire.Number { return 15 }
func (m *naming) fields(b []byte) []byte {
	for _, n := range m.names {
		b = repeated(b, 1, n)
	}
	return b
}
func (m *naming) take(num protowire.Number, _ uint64, raw []byte) bool {
	return num == 1 && len(raw) == nameSize && each(&m.names, raw, nameSize, Batch)
}

func (m *named) number() protowire.Number { return 16 }
func (m *named) fields(b []byte) []byte {
	for _, h := range m.hashes {
		b = repeated(b, 1, h)
	}
	return b
}
func (m *named) take(num protowire.Number, _ uint64, raw []byte) bool {
	var h mh.Multihash // none stands empty
	ok := num == 1 && raw != nil && (len(raw) == 0 || key(&h, raw))
	m.hashes = append(m.hashes, h)
	return ok && len(m.hashes) <= Batch
}
