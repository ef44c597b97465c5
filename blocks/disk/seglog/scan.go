package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// checkData splits the data off b, which goes on to the end of a record, and
// reports whether its checksum is right. A record without data has nothing to be
// wrong.
func checkData(b []byte, n int) ([]byte, bool) {
	data := b[:n:n]
	return data, n == 0 || binary.LittleEndian.Uint32(b[n:]) == sum(data)
}

const (
	windowSize = 2*MaxData + 1<<10
	pieceSize  = 512 << 10 // read at a time, if records are not longer: the processor's cache has it when it is checked
)

var windows = sync.Pool{New: func() any { b := make([]byte, windowSize); return &b }}

// window reads a file from its beginning to its end, in large pieces.
type window struct {
	f    vfs.File
	size int64 // to read
	buf  []byte
	at   int64 // offset of buf[0]
	n    int   // bytes in buf
}

// bytes lends n bytes at off until the next call, or fewer at the end.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-off))
	if n <= 0 {
		return nil, nil
	}
	if off >= w.at && off+int64(n) <= w.at+int64(w.n) {
		return w.buf[off-w.at:][:n], nil
	}
	keep := 0
	if off >= w.at && off < w.at+int64(w.n) {
		keep = copy(w.buf, w.buf[off-w.at:w.n])
	}
	w.at = off
	want := int(min(int64(max(n, min(keep+pieceSize, len(w.buf)))), w.size-off))
	m, err := w.f.ReadAt(w.buf[keep:want], off+int64(keep))
	w.n = keep + m
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return w.buf[:min(n, w.n)], nil
}

// found is how a scan ended.
type found struct {
	end  int64 // behind the last whole record
	torn bool  // something that is no record stands before or behind it
	seq  uint64
}

// Scan tells each of every whole record of the segment id, and of those that have
// rotted; what is lent to it is good for the call only.
func (l *Log) Scan(id uint32, each func(Entry) error) error {
	s, err := l.acquire(id)
	if err != nil {
		return err
	}
	defer s.release()
	_, err = l.scan(s, HeaderSize, each)
	return err
}

// scan reads s from off on.
func (l *Log) scan(s *segment, off int64, each func(Entry) error) (f found, err error) {
	p := windows.Get().(*[]byte)
	defer windows.Put(p)
	w := &window{f: s.file, size: s.size.Load(), buf: *p}
	if limit := s.limit.Load(); limit > 0 {
		w.size = min(w.size, limit)
	}
	f.end = off
	var doubtful []Entry // damaged, and nothing says yet that they were ever whole
	for off < w.size {
		e, base, err := l.at1(w, s.id, off)
		if err != nil {
			return f, fmt.Errorf("seglog: scan segment %d: %w", s.id, err)
		}
		switch {
		case e.Key == nil:
			f.torn = true
			if off, err = l.resume(w, off+1); err != nil {
				return f, fmt.Errorf("seglog: scan segment %d: %w", s.id, err)
			}
			continue
		case e.Damaged:
			e.Key = bytes.Clone(e.Key)
			doubtful = append(doubtful, e)
			off += e.Size()
			continue
		}
		for len(doubtful) > 0 && doubtful[0].Pos.Off < base {
			if err := each(doubtful[0]); err != nil {
				return f, err
			}
			doubtful = doubtful[1:]
		}
		if err := each(e); err != nil {
			return f, err
		}
		f.seq = max(f.seq, e.Seq)
		off += e.Size()
		f.end = off
	}
	f.torn = f.torn || len(doubtful) > 0 || f.end < s.size.Load()
	return f, nil
}

// at1 reads the record at off. Without a key there is none.
func (l *Log) at1(w *window, seg uint32, off int64) (e Entry, base uint32, err error) {
	b, err := w.bytes(off, fixed+MaxKey+4)
	if err != nil {
		return e, 0, err
	}
	h, key, ok := parseHeader(b, l.mark)
	if !ok || int64(h.base) > off {
		return e, 0, nil
	}
	size := Size(len(key), h.n)
	if b, err = w.bytes(off, int(size)); err != nil || int64(len(b)) < size {
		return e, 0, err
	}
	data, whole := checkData(b[headerSize(b):], h.n)
	e = Entry{Kind: h.kind, Key: b[fixed : fixed+len(key)], Data: data, Len: h.n, Seq: h.seq, Pos: Pos{seg, uint32(off)}}
	if !whole {
		e.Damaged, e.Data = true, nil
	}
	return e, h.base, nil
}

// resume finds the next header from off on.
func (l *Log) resume(w *window, off int64) (int64, error) {
	for off < w.size {
		b, err := w.bytes(off, 64<<10)
		if err != nil || len(b) < markSize {
			return w.size, err
		}
		i := bytes.Index(b, l.mark[:])
		if i < 0 {
			off += int64(len(b) - markSize + 1)
			continue
		}
		off += int64(i)
		if b, err = w.bytes(off, fixed+MaxKey+4); err != nil {
			return off, err
		}
		if _, _, ok := parseHeader(b, l.mark); ok {
			return off, nil
		}
		off++
	}
	return w.size, nil
}

// Replay tells each of every record from the position from on, in the order of
// the log, and then begins to take records; seq is the least number that the next
// one has. It is called once, before Append.
func (l *Log) Replay(from Pos, seq uint64, each func(Entry) error) error {
	var last found
	l.seq = max(seq, 1)
	ids := l.IDs()
	for i, id := range ids {
		s := l.segs[id]
		l.seq = max(l.seq, s.start.seq)
		if id < from.Seg && i < len(ids)-1 {
			continue
		}
		off := int64(HeaderSize)
		if id == from.Seg {
			off = max(off, int64(from.Off))
		}
		f, err := l.scan(s, off, each)
		if err != nil {
			return err
		}
		if f.torn {
			l.cfg.Log.Info("segment has bytes that are no records", "segment", id, "end", f.end, "size", s.size.Load())
		}
		l.seq = max(l.seq, f.seq+1)
		last = f
	}
	return l.begin(ids, last)
}
