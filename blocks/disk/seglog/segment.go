package seglog

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// HeaderSize is how many bytes a segment has before its first record.
const HeaderSize = 64

const (
	format = 1
	magic  = "cairnlog"
)

// start is what a segment's header says.
type start struct {
	id      uint32
	mark    Mark
	prev    uint32 // 0: none
	prevEnd uint32
	seq     uint64
}

func (s start) encode() []byte {
	b := make([]byte, HeaderSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], format)
	binary.LittleEndian.PutUint32(b[12:], s.id)
	copy(b[16:], s.mark[:])
	binary.LittleEndian.PutUint32(b[24:], s.prev)
	binary.LittleEndian.PutUint32(b[28:], s.prevEnd)
	binary.LittleEndian.PutUint64(b[32:], s.seq)
	binary.LittleEndian.PutUint32(b[60:], sum(b[:60]))
	return b
}

func decodeStart(b []byte) (s start, ok bool) {
	if len(b) < HeaderSize || string(b[:8]) != magic || binary.LittleEndian.Uint32(b[60:]) != sum(b[:60]) ||
		binary.LittleEndian.Uint32(b[8:]) != format {
		return s, false
	}
	return start{
		id:      binary.LittleEndian.Uint32(b[12:]),
		mark:    Mark(b[16:24]),
		prev:    binary.LittleEndian.Uint32(b[24:]),
		prevEnd: binary.LittleEndian.Uint32(b[28:]),
		seq:     binary.LittleEndian.Uint64(b[32:]),
	}, true
}

func segName(id uint32) string { return fmt.Sprintf("seg-%08d.log", id) }

// segID reads the number of a segment out of its name.
func segID(name string) (uint32, bool) {
	digits, ok := strings.CutPrefix(name, "seg-")
	digits, ok2 := strings.CutSuffix(digits, ".log")
	id, err := strconv.ParseUint(digits, 10, 32)
	return uint32(id), ok && ok2 && err == nil && id > 0 && id < 1<<31 && segName(uint32(id)) == name
}

// segment is an open file of the log.
type segment struct {
	id    uint32
	file  vfs.File
	start start // zero if its header cannot be read
	size  atomic.Int64
	limit atomic.Int64 // what stands behind is void; 0 is no limit

	refs atomic.Int64  // the log's own and one for each that reads
	idle chan struct{} // closed when the last is given back
}

func newSegment(id uint32, f vfs.File) *segment {
	s := &segment{id: id, file: f, idle: make(chan struct{})}
	s.refs.Store(1)
	return s
}

func (s *segment) release() {
	if s.refs.Add(-1) == 0 {
		close(s.idle)
	}
}

// acquire lends the segment id until it is released.
func (l *Log) acquire(id uint32) (*segment, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := l.segs[id]
	if s == nil {
		return nil, ErrGone
	}
	s.refs.Add(1)
	return s, nil
}
