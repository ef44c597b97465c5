package seglog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/semaphore"
)

// Config is how a log is opened. The zero value is for production.
type Config struct {
	FS          vfs.FS        // nil is vfs.Default
	Log         *slog.Logger  // nil is silence
	SegmentSize int64         // bytes after which a new segment begins; 0 is 256 MiB, at most 1 GiB
	GroupTime   time.Duration // how long a group waits for more, at most; 0 is 2 ms
	GroupBytes  int64         // bytes after which a group waits no more; 0 is 16 MiB
	ReadOnly    bool          // nothing is written

	// Apply is told of every group when it is on the disk, in the order of the
	// log, before Append answers. end is the position behind the group. Its
	// error is Append's. The entries are lent.
	Apply func(group []Entry, end Pos) error

	// Damaged is told of records that no longer read back after a sync failed.
	Damaged func(Entry)
}

func (c Config) withDefaults() Config {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SegmentSize <= 0 {
		c.SegmentSize = 256 << 20
	}
	c.SegmentSize = min(c.SegmentSize, 1<<30)
	if c.GroupTime == 0 {
		c.GroupTime = 2 * time.Millisecond
	}
	if c.GroupBytes <= 0 {
		c.GroupBytes = 16 << 20
	}
	c.GroupBytes = min(c.GroupBytes, c.SegmentSize)
	if c.Apply == nil {
		c.Apply = func([]Entry, Pos) error { return nil }
	}
	if c.Damaged == nil {
		c.Damaged = func(Entry) {}
	}
	return c
}

// Log is an open log.
type Log struct {
	dir  string
	cfg  Config
	mark Mark
	room *semaphore.Weighted // bytes that wait to be written

	mu   sync.RWMutex
	segs map[uint32]*segment // guarded by mu

	in    chan *request
	ended chan struct{} // closed when the writer has ended; nil before it began
	users sync.WaitGroup

	closing sync.RWMutex
	closed  bool // guarded by closing

	writer // of the one goroutine that writes, and of Replay before it
}

// Open opens the log in dir, which must be there. It reads nothing but the
// headers of the segments: [Log.Replay] comes next.
func Open(dir string, cfg Config) (_ *Log, err error) {
	cfg = cfg.withDefaults()
	l := &Log{
		dir: dir, cfg: cfg, segs: make(map[uint32]*segment),
		room: semaphore.NewWeighted(3 * (cfg.GroupBytes + MaxData)),
		in:   make(chan *request, 256),
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("seglog: open: %w", err), l.closeFiles())
		}
	}()
	names, err := cfg.FS.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if id, ok := segID(name); ok {
			if err := l.openSegment(id); err != nil {
				return nil, err
			}
		}
	}
	return l, l.agree()
}

func (l *Log) path(id uint32) string { return l.cfg.FS.PathJoin(l.dir, segName(id)) }

func (l *Log) openSegment(id uint32) error {
	open := func(name string) (vfs.File, error) {
		if l.cfg.ReadOnly {
			return l.cfg.FS.Open(name)
		}
		return l.cfg.FS.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	}
	f, err := open(l.path(id))
	if err != nil {
		return err
	}
	s := newSegment(id, f)
	l.segs[id] = s
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	s.size.Store(fi.Size())
	b := make([]byte, HeaderSize)
	if n, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if st, ok := decodeStart(b[:n]); ok && st.id == id {
		s.start = st
	}
	return nil
}

// agree finds the mark that the segments have in common, and what is void.
func (l *Log) agree() error {
	votes := make(map[Mark]int)
	for _, s := range l.segs {
		if s.start.id != 0 {
			votes[s.start.mark]++
		}
	}
	most := 0
	for m, n := range votes {
		if n > most {
			l.mark, most = m, n
		}
	}
	if most == 0 && !l.inferMark() {
		if _, err := rand.Read(l.mark[:]); err != nil {
			return err
		}
	}
	for _, s := range l.segs {
		if s.start.id == 0 || s.start.mark != l.mark {
			s.start = start{}
			l.cfg.Log.Warn("segment has no readable header", "segment", s.id)
			continue
		}
		if p := l.segs[s.start.prev]; p != nil {
			p.limit.Store(int64(s.start.prevEnd))
		}
	}
	return nil
}

// inferMark takes the mark from a first record, when no header can be read.
func (l *Log) inferMark() bool {
	for _, id := range l.IDs() {
		b := make([]byte, fixed+MaxKey+4)
		n, _ := l.segs[id].file.ReadAt(b, HeaderSize) // a short one does not parse
		if n < fixed {
			continue
		}
		if _, _, ok := parseHeader(b[:n], Mark(b[:markSize])); ok {
			l.mark = Mark(b[:markSize])
			return true
		}
	}
	return false
}

// Mark is what the records of this log begin with; it names the log.
func (l *Log) Mark() Mark { return l.mark }

// IDs lists the numbers of the segments in order.
func (l *Log) IDs() []uint32 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Sorted(maps.Keys(l.segs))
}

// Segment is what is known of a segment.
type Segment struct {
	ID   uint32
	Size int64 // bytes written
	Disk int64 // bytes of the disk it takes
	Cut  bool  // something void stands at its end
}

// Segments lists the segments in order.
func (l *Log) Segments() ([]Segment, error) {
	var out []Segment
	for _, id := range l.IDs() {
		s, err := l.acquire(id)
		if err != nil {
			continue // removed meanwhile
		}
		fi, err := s.file.Stat()
		if err == nil {
			out = append(out, Segment{ID: id, Size: s.size.Load(), Disk: allocated(fi), Cut: s.limit.Load() > 0 && fi.Size() > s.limit.Load()})
		}
		s.release()
		if err != nil {
			return nil, fmt.Errorf("seglog: segments: %w", err)
		}
	}
	return out, nil
}

// Head is the number of the newest segment that records are written to, or 0.
func (l *Log) Head() uint32 { return l.at.Load() }

// Read gives the data of the record at p, which has this key and n bytes of data,
// in buf, which has room for [Size] of them. It answers [ErrDamaged] when it is
// not there as it was written, and [ErrGone].
func (l *Log) Read(p Pos, key []byte, n int, buf []byte) ([]byte, error) {
	s, err := l.acquire(p.Seg)
	if err != nil {
		return nil, err
	}
	defer s.release()
	buf = buf[:Size(len(key), n)]
	if m, err := s.file.ReadAt(buf, int64(p.Off)); m < len(buf) {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: segment %d ends before its end", ErrDamaged, p.Seg)
		}
		return nil, fmt.Errorf("seglog: read: %w", err)
	}
	h, k, ok := parseHeader(buf, l.mark)
	if !ok || h.n != n || string(k) != string(key) {
		return nil, fmt.Errorf("%w: header at %d in segment %d", ErrDamaged, p.Off, p.Seg)
	}
	data, whole := checkData(buf[headerSize(buf):], n)
	if !whole {
		return data, fmt.Errorf("%w: data at %d in segment %d", ErrDamaged, p.Off, p.Seg)
	}
	return data, nil
}

// Punch gives the data of the record at p back to the disk; its header stays.
func (l *Log) Punch(p Pos, key, n int) error {
	const page = 4096
	from := (int64(p.Off) + fixed + int64(key) + 4 + page - 1) &^ (page - 1)
	to := (int64(p.Off) + Size(key, n)) &^ (page - 1)
	if to <= from || l.cfg.ReadOnly {
		return nil
	}
	s, err := l.acquire(p.Seg)
	if err != nil {
		return nil // so much the better
	}
	defer s.release()
	if err := punch(s.file, from, to-from); err != nil {
		return fmt.Errorf("seglog: punch: %w", err)
	}
	return nil
}

// Removable reports whether id may be removed now: it may not as long as the
// segment before it stands, if this one says where that one ends.
func (l *Log) Removable(id uint32) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := l.segs[id]
	if s == nil || id == l.at.Load() {
		return false
	}
	p := l.segs[s.start.prev]
	if p == nil || s.start.prev == 0 {
		return true
	}
	fi, err := p.file.Stat()
	return err == nil && fi.Size() <= int64(s.start.prevEnd)
}

// Remove forgets the segment id when nobody reads it any more. It is off the disk
// when Remove answers nil.
func (l *Log) Remove(ctx context.Context, id uint32) error {
	if !l.Removable(id) {
		return fmt.Errorf("seglog: remove segment %d: it is still needed", id)
	}
	l.mu.Lock()
	s := l.segs[id]
	delete(l.segs, id)
	l.mu.Unlock()
	s.release()
	select {
	case <-s.idle:
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		s.refs.Add(1)
		select {
		case <-s.idle: // it was the last after all: a fresh handle is needed to go on
			return errors.Join(ctx.Err(), s.file.Close(), l.openSegment(id))
		default:
			l.segs[id] = s
			return ctx.Err()
		}
	}
	err := errors.Join(s.file.Close(), l.cfg.FS.Remove(l.path(id)), l.syncDir())
	if err != nil {
		return fmt.Errorf("seglog: remove segment %d: %w", id, err)
	}
	return nil
}

func (l *Log) syncDir() error {
	d, err := l.cfg.FS.OpenDir(l.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// enter begins a call of Append; it ends with l.users.Done().
func (l *Log) enter() error {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed || l.ended == nil {
		return fs.ErrClosed
	}
	l.users.Add(1)
	return nil
}

// Close waits for calls of Append that are under way, and lets go of the files.
// Nobody may read meanwhile.
func (l *Log) Close() error {
	l.closing.Lock()
	again := l.closed
	l.closed = true
	l.closing.Unlock()
	if again {
		return nil
	}
	l.users.Wait()
	if l.ended != nil {
		close(l.in)
		<-l.ended
		if h := l.head; h != nil {
			if err := trim(h.file, l.end); err != nil && !errors.Is(err, os.ErrClosed) {
				l.cfg.Log.Debug("space allocated ahead stays", "err", err)
			}
		}
	}
	return l.closeFiles()
}

func (l *Log) closeFiles() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for id, s := range l.segs {
		errs = append(errs, s.file.Close())
		delete(l.segs, id)
	}
	return errors.Join(errs...)
}
