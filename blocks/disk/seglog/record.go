package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The limits of a record.
const (
	MaxKey  = 255
	MaxData = 4 << 20 // bytes
)

const (
	fixed    = 28 // bytes of a record's header before its key
	markSize = 8
)

// ErrDamaged says that what stands at a position is not the record that was
// written there.
var ErrDamaged = errors.New("seglog: damaged record")

// ErrGone says that the segment of a position is no longer there.
var ErrGone = errors.New("seglog: segment was removed")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Kind is what a record means to the caller.
type Kind uint8

// Mark is what every record of one log begins with.
type Mark [markSize]byte

// Record is what is appended. Data is not changed, and must not be.
type Record struct {
	Kind Kind
	Key  []byte
	Data []byte
	Seq  uint64 // 0: the next; of a copy: that of the original
}

// Pos is where the header of a record begins.
type Pos struct {
	Seg uint32
	Off uint32
}

// Before reports whether p is earlier in the log than o.
func (p Pos) Before(o Pos) bool { return p.Seg < o.Seg || p.Seg == o.Seg && p.Off < o.Off }

// Entry is a record in its place.
type Entry struct {
	Kind    Kind
	Key     []byte
	Data    []byte // lent for the call; nil if Damaged
	Len     int    // bytes of the data
	Seq     uint64
	Pos     Pos
	Damaged bool // the header is whole, the data is not, and once was
}

// Size is how many bytes of the segment e takes.
func (e Entry) Size() int64 { return Size(len(e.Key), e.Len) }

// End is the position behind e.
func (e Entry) End() Pos { return Pos{e.Pos.Seg, e.Pos.Off + uint32(e.Size())} }

// Size is how many bytes a record takes whose key and data have these lengths.
func Size(key, data int) int64 { return fixed + int64(key) + 4 + int64(data) + 4 }

func (r *Record) check() error {
	if len(r.Key) == 0 || len(r.Key) > MaxKey {
		return fmt.Errorf("seglog: key of %d bytes, limit %d", len(r.Key), MaxKey)
	}
	if len(r.Data) > MaxData {
		return fmt.Errorf("seglog: record of %d bytes, limit %d", len(r.Data), MaxData)
	}
	return nil
}

func (r *Record) size() int64 { return Size(len(r.Key), len(r.Data)) }

func sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// appendHeader appends the header of r, with its own checksum.
func appendHeader(b []byte, mark Mark, r *Record, seq uint64, base uint32) []byte {
	from := len(b)
	b = append(b, mark[:]...)
	b = append(b, byte(r.Kind), byte(len(r.Key)), 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Data)))
	b = binary.LittleEndian.AppendUint64(b, seq)
	b = binary.LittleEndian.AppendUint32(b, base)
	b = append(b, r.Key...)
	return binary.LittleEndian.AppendUint32(b, sum(b[from:]))
}

type header struct {
	kind Kind
	seq  uint64
	base uint32
	n    int // bytes of the data
}

// headerSize is how long the header is that begins with b, at least fixed bytes.
func headerSize(b []byte) int { return fixed + int(b[9]) + 4 }

// parseHeader reads a whole header and its key, or answers false.
func parseHeader(b []byte, mark Mark) (h header, key []byte, ok bool) {
	if len(b) < fixed || Mark(b[:markSize]) != mark || len(b) < headerSize(b) || b[9] == 0 {
		return h, nil, false
	}
	end := headerSize(b) - 4
	if binary.LittleEndian.Uint32(b[end:]) != sum(b[:end]) {
		return h, nil, false
	}
	n := binary.LittleEndian.Uint32(b[12:])
	if n > MaxData {
		return h, nil, false
	}
	return header{
		kind: Kind(b[8]),
		n:    int(n),
		seq:  binary.LittleEndian.Uint64(b[16:]),
		base: binary.LittleEndian.Uint32(b[24:]),
	}, b[fixed:end], true
}
