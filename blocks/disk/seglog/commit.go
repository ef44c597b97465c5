package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	direct = 32 << 10 // bytes of data from which on they are written from where they are
	staged = 1 << 20  // bytes that are gathered to be written at once
	ahead  = 32 << 20 // bytes that a segment is allocated ahead
)

// writer is the state of the goroutine that writes.
type writer struct {
	head   *segment // nil: the next record begins a segment
	end    int64    // of what was acknowledged in head
	ahead  int64    // up to which head is allocated
	at     atomic.Uint32
	next   uint32 // number of the next segment
	prev   uint32 // number of the segment written last, and its end
	cut    uint32
	seq    uint64
	failed error // why nothing is written
	down   atomic.Bool

	stage   []byte
	entries []Entry
	last    int           // requests in the last group
	took    time.Duration // the last sync
}

// begin makes ready to write behind what Replay found.
func (l *Log) begin(ids []uint32, last found) error {
	l.next = 1
	if n := len(ids); n > 0 {
		s := l.segs[ids[n-1]]
		l.next, l.prev, l.cut = s.id+1, s.id, uint32(last.end)
		l.at.Store(s.id)
		if !l.cfg.ReadOnly {
			// What a killed process wrote may not be on the disk yet.
			if err := errors.Join(s.file.Sync(), l.syncDir()); err != nil {
				return fmt.Errorf("seglog: sync what was found: %w", err)
			}
		}
		if s.start.id != 0 && !last.torn && s.limit.Load() == 0 && last.end < l.cfg.SegmentSize {
			l.head, l.end, l.ahead = s, last.end, last.end
		}
	}
	if !l.cfg.ReadOnly {
		l.ended = make(chan struct{})
		go l.write() // ended by Close, which waits for it
	}
	return nil
}

// write is the goroutine.
func (l *Log) write() {
	defer close(l.ended)
	for {
		group := l.gather()
		if group == nil {
			return
		}
		err := l.commit(group)
		for _, r := range group {
			r.err = err
			l.room.Release(r.size)
			close(r.done)
		}
	}
}

// gather waits for a request and for those that may be expected to come with it:
// as many as there were last time, for no longer than half a sync takes.
func (l *Log) gather() []*request {
	first, ok := <-l.in
	if !ok {
		return nil
	}
	group, size := []*request{first}, first.size
	var late <-chan time.Time
	for size < l.cfg.GroupBytes {
		select {
		case r, ok := <-l.in:
			if !ok {
				return group
			}
			group, size = append(group, r), size+r.size
			continue
		default:
		}
		if len(group) >= l.last {
			break
		}
		if late == nil {
			late = time.After(min(l.cfg.GroupTime, l.took/2))
		}
		select {
		case r, ok := <-l.in:
			if !ok {
				return group
			}
			group, size = append(group, r), size+r.size
		case <-late:
			l.last = len(group)
			return group
		}
	}
	l.last = len(group)
	return group
}

// commit puts a group on the disk.
func (l *Log) commit(group []*request) error {
	var total int64
	roll := false
	for _, r := range group {
		total += r.size
		roll = roll || r.roll
	}
	if l.failed != nil {
		if err := l.recover(); err != nil {
			return fmt.Errorf("log takes no writes since: %w", err)
		}
	}
	full := l.head == nil || l.end+total > l.cfg.SegmentSize
	if total == 0 && !roll { // it was only to be seen whether the log can be written
		return nil
	}
	if l.head == nil || (full || roll) && l.end > HeaderSize {
		if err := l.roll(); err != nil {
			l.failed = err
			l.down.Store(true)
			return err
		}
	}
	if total == 0 {
		return nil
	}
	end, err := l.put(group, total)
	if err == nil {
		at := time.Now()
		err = l.head.file.SyncData()
		l.took = time.Since(at)
	}
	if err == nil {
		l.end = end
		l.head.size.Store(end)
		err = l.cfg.Apply(l.entries, Pos{l.head.id, uint32(end)})
	}
	if err != nil {
		l.fail(err)
	}
	return err
}

// allocate asks for space ahead of the end, as much again as the segment has, if
// there is plenty. It merely helps.
func (l *Log) allocate(total int64) {
	n := max(total, min(ahead, l.end, l.cfg.SegmentSize-l.end))
	u, err := l.cfg.FS.GetDiskUsage(l.dir)
	if err == nil && u.AvailBytes/64 > uint64(n) && l.head.file.Preallocate(l.end, n) == nil {
		l.ahead = l.end + n
	}
}

// put writes a group behind the end.
func (l *Log) put(group []*request, total int64) (int64, error) {
	f, base, off := l.head.file, uint32(l.end), l.end
	sent := off // the disk has been told to write up to here
	if l.end+total > l.ahead {
		l.allocate(total)
	}
	b := l.stage[:0]
	l.entries = l.entries[:0]
	flush := func() error {
		n, err := f.WriteAt(b, off)
		off += int64(n)
		b = b[:0]
		return err
	}
	for _, r := range group {
		r.pos = make([]Pos, 0, len(r.recs))
		for i := range r.recs {
			rec := &r.recs[i]
			seq := rec.Seq
			if seq == 0 {
				seq = l.seq
				l.seq++
			}
			p := Pos{l.head.id, uint32(off + int64(len(b)))}
			r.pos = append(r.pos, p)
			l.entries = append(l.entries, Entry{Kind: rec.Kind, Key: rec.Key, Data: rec.Data, Len: len(rec.Data), Seq: seq, Pos: p})
			b = appendHeader(b, l.mark, rec, seq, base)
			if len(rec.Data) < direct {
				b = append(b, rec.Data...)
			} else {
				if err := flush(); err != nil {
					return 0, err
				}
				n, err := f.WriteAt(rec.Data, off)
				off += int64(n)
				if err != nil {
					return 0, err
				}
				if total > staged && off-sent >= staged {
					early(f, sent, off-sent)
					sent = off
				}
			}
			b = binary.LittleEndian.AppendUint32(b, r.sums[i])
			if len(b) >= staged {
				if err := flush(); err != nil {
					return 0, err
				}
			}
		}
	}
	err := flush()
	l.stage = b
	return off, err
}

// roll begins a new segment. Its header, which says where the last one ends, is
// on the disk before the first record is written.
func (l *Log) roll() error {
	id, empty := l.next, (*segment)(nil)
	l.next++
	switch {
	case l.head == nil:
	case l.failed != nil && l.end == HeaderSize && l.head.start.id != 0:
		empty = l.head // nothing in it was ever acknowledged
		l.prev, l.cut = empty.start.prev, empty.start.prevEnd
	default:
		l.prev, l.cut = l.head.id, uint32(l.end)
		if l.failed == nil {
			if err := trim(l.head.file, l.end); err != nil {
				l.cfg.Log.Debug("space allocated ahead stays", "err", err)
			}
		}
	}
	f, err := l.cfg.FS.OpenReadWrite(l.path(id), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	s := newSegment(id, f)
	s.start = start{id: id, mark: l.mark, prev: l.prev, prevEnd: l.cut, seq: l.seq}
	s.size.Store(HeaderSize)
	_, err = f.WriteAt(s.start.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil && empty != nil {
		err = l.cfg.FS.Remove(l.path(empty.id))
	}
	if err == nil {
		err = l.syncDir()
	}
	if err != nil {
		return errors.Join(err, f.Close(), l.cfg.FS.Remove(l.path(id)))
	}
	l.mu.Lock()
	if empty != nil {
		delete(l.segs, empty.id)
		err = empty.file.Close()
	}
	if p := l.segs[l.prev]; p != nil {
		p.limit.Store(int64(l.cut))
	}
	l.segs[id] = s
	l.mu.Unlock()
	l.head, l.end, l.ahead = s, HeaderSize, HeaderSize
	l.at.Store(id)
	return err
}

// fail gives up the head: nobody knows what of it is on the disk behind the end.
func (l *Log) fail(err error) {
	l.failed = err
	l.down.Store(true)
	l.cfg.Log.Error("log cannot be written", "segment", l.head.id, "err", err)
}

// recover tries to go on in a new segment, and answers the old failure if it cannot.
func (l *Log) recover() error {
	old := l.head
	if err := l.roll(); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			l.failed = err
		}
		return l.failed
	}
	l.cfg.Log.Info("log is written again", "segment", l.head.id, "after", l.failed)
	l.failed = nil
	l.down.Store(false)
	if old == nil || l.prev != old.id {
		return nil
	}
	// A sync that failed may have lost pages that were thought written.
	if _, err := l.scan(old, HeaderSize, func(e Entry) error {
		if e.Damaged {
			l.cfg.Damaged(e)
		}
		return nil
	}); err != nil {
		l.cfg.Log.Warn("segment cannot be verified", "segment", old.id, "err", err)
	}
	return nil
}
