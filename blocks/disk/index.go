package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The keys of the index. Multihashes say their own length, so none is the
// beginning of another and the order of keys is that of the multihashes.
//
//	b/ multihash          → place               where a block is, or that it is no more
//	l/ lease-id           → place, lease        as it was signed
//	p/ root               → place, pin          what the owner wants kept, JSON
//	r/ kind key           → place, record       that is kept for others, as it was signed
//	h/ multihash lease-id → holding             which leases hold a block, or held it
//	u/ lease-id multihash → holding             which blocks a lease holds, or held
//	a/ multihash          → sequence number     of the log when the block was last read
//	s/ segment            → tally               how much of a segment is alive
//	m/covered             → position and more   up to where the log stands in here
//	m/scrub               → multihash           how far the scrub has come
const (
	byBlock  = "b/"
	byHash   = "h/"
	byID     = "l/"
	underID  = "u/"
	byRoot   = "p/"
	byRead   = "a/"
	byRecord = "r/"
	bySeg    = "s/"
	covered  = "m/covered"
	scrubAt  = "m/scrub"
)

// state is what the log last said of a key.
type state uint8

const (
	there   state = 1 + iota
	gone          // deleted
	bad           // found wrong, and the log says so
	rotten        // found wrong while the index was built
	dropped       // of a segment: compacted, the file may still be there
)

// place is where the youngest record of a key is.
type place struct {
	state state
	pos   seglog.Pos
	n     int // bytes of data
	seq   uint64
}

const placeSize = 21

func (p place) append(b []byte) []byte {
	b = append(b, byte(p.state))
	b = binary.LittleEndian.AppendUint32(b, p.pos.Seg)
	b = binary.LittleEndian.AppendUint32(b, p.pos.Off)
	b = binary.LittleEndian.AppendUint32(b, uint32(p.n))
	return binary.LittleEndian.AppendUint64(b, p.seq)
}

func parsePlace(b []byte) (p place, rest []byte, err error) {
	if len(b) < placeSize || b[0] == 0 || b[0] > byte(rotten) {
		return p, nil, fmt.Errorf("index: place of %d bytes", len(b))
	}
	return place{
		state: state(b[0]),
		pos:   seglog.Pos{Seg: binary.LittleEndian.Uint32(b[1:]), Off: binary.LittleEndian.Uint32(b[5:])},
		n:     int(binary.LittleEndian.Uint32(b[9:])),
		seq:   binary.LittleEndian.Uint64(b[13:]),
	}, b[placeSize:], nil
}

// younger reports whether p is of a younger record than q, or of a later copy.
func (p place) younger(q place) bool {
	return p.seq > q.seq || p.seq == q.seq && q.pos.Before(p.pos)
}

// tally is how much of a segment is alive.
type tally struct {
	live    int64 // bytes of records that are needed
	tomb    int64 // bytes of records that keep older ones from coming back
	data    int64 // bytes of blocks
	blocks  int64
	bad     int64  // keys whose record here was found wrong
	oldest  uint64 // sequence number of a record that could come back; 0 is none
	newest  uint64 // sequence number of any record
	dropped bool
}

func (t *tally) marshal() []byte {
	b := make([]byte, 0, 57)
	for _, v := range []int64{t.live, t.tomb, t.data, t.blocks, t.bad, int64(t.oldest), int64(t.newest)} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	if t.dropped {
		return append(b, byte(dropped))
	}
	return append(b, byte(there))
}

func parseTally(b []byte) (*tally, error) {
	if len(b) != 57 {
		return nil, fmt.Errorf("index: tally of %d bytes", len(b))
	}
	v := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
	return &tally{
		live: v(0), tomb: v(1), data: v(2), blocks: v(3), bad: v(4),
		oldest: uint64(v(5)), newest: uint64(v(6)), dropped: b[56] == byte(dropped),
	}, nil
}

// index is the database: what the log says, by key. It can be made anew from
// the log at any time, so it writes no log of its own. The state after a crash
// is that after some earlier batch, and every batch says which part of the log
// is in it.
type index struct {
	db     *pebble.DB
	log    *slog.Logger
	filter *filter // of the keys of blocks, deleted ones too
	named  *filter // while an index is made anew: of the blocks that holds and releases name; nil later
	stop   chan struct{}
	filled chan struct{} // closed when the filter has all, or was stopped

	mu     sync.Mutex        // one batch at a time
	segs   map[uint32]*tally // guarded by mu
	at     cover             // guarded by mu
	broken error             // guarded by mu; the database is behind what is in memory
	owed   []owed            // guarded by mu; groups of the log that are not in it yet, the oldest first
	freed  []freed           // guarded by mu; data that was just deleted

	held   atomic.Int64 // blocks under at least one lease
	blocks atomic.Int64
	data   atomic.Int64 // bytes of blocks
	bad    atomic.Int64
	failed atomic.Pointer[fatal] // the database gave up
	dead   chan struct{}         // closed when it has
	fails  atomic.Int64          // tries of it to write that failed
	failAt atomic.Int64          // when it last failed, Unix nanoseconds
	why    atomic.Pointer[error] // of that
	behind atomic.Int64          // bytes of memory that wait to be written, about

	opened  atomic.Bool // pebble's Open has answered
	closing atomic.Bool // what cannot be written any more shall not be waited for
}

// cover says which part of which log is in the index.
type cover struct {
	pos  seglog.Pos // up to here
	seq  uint64     // the next sequence number
	held int64
	mark seglog.Mark
}

func (c cover) marshal() []byte {
	b := binary.LittleEndian.AppendUint32(nil, c.pos.Seg)
	b = binary.LittleEndian.AppendUint32(b, c.pos.Off)
	b = binary.LittleEndian.AppendUint64(b, c.seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(c.held))
	return append(b, c.mark[:]...)
}

func parseCover(b []byte) (c cover, err error) {
	if len(b) != 24+len(c.mark) {
		return c, fmt.Errorf("index: cover of %d bytes", len(b))
	}
	return cover{
		pos:  seglog.Pos{Seg: binary.LittleEndian.Uint32(b), Off: binary.LittleEndian.Uint32(b[4:])},
		seq:  binary.LittleEndian.Uint64(b[8:]),
		held: int64(binary.LittleEndian.Uint64(b[16:])),
		mark: seglog.Mark(b[24:]),
	}, nil
}

func newIndex(log *slog.Logger) *index {
	return &index{log: log, segs: make(map[uint32]*tally), dead: make(chan struct{})}
}

// openIndex opens the database in dir and reads what is kept in memory of it.
func openIndex(fs vfs.FS, dir string, log *slog.Logger) (_ *index, err error) {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	x := newIndex(log)
	cache := pebble.NewCache(16 << 20)
	defer cache.Unref() // the database has its own reference
	o := &pebble.Options{
		Cache:                       cache,
		DisableWAL:                  true,
		FS:                          patient{fs, x},
		FormatMajorVersion:          pebble.FormatColumnarBlocks, // a later one is a new version of ours
		Logger:                      &quiet{log: log, x: x},
		MaxOpenFiles:                256,
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: memTables,
		L0StopWritesThreshold:       1000, // tables that cannot be brought together stop nobody
	}
	o.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) {
			x.ails(err)
			time.Sleep(flushPause) // pebble tries again at once
		},
		FlushEnd: func(f pebble.FlushInfo) {
			if f.Err == nil {
				x.behind.Store(0)
			}
		},
	}
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	if x.db, err = openPebble(dir, o, x); err != nil {
		return nil, err
	}
	if err := x.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("index: %w", err), x.db.Close())
	}
	x.filter, x.stop, x.filled = newFilter(x.blocks.Load()), make(chan struct{}), make(chan struct{})
	go x.fill() // ended by close, which waits for it
	return x, nil
}

// ailing reports whether the database could not be written of late. What is not
// needed is then not written: a database that cannot flush makes writers wait.
func (x *index) ailing() bool {
	return time.Since(time.Unix(0, x.failAt.Load())) < time.Minute
}

// ails notes that the database could not be written.
func (x *index) ails(err error) {
	if !x.ailing() {
		x.log.Warn("index cannot be written, it is tried again", "err", err)
	}
	x.why.Store(&err)
	x.fails.Add(1)
	x.failAt.Store(time.Now().UnixNano())
}

// What waits to be written has room for memTables of memTable bytes, more would
// make writers wait: a disk that is full for a while stops nobody.
const (
	memTable  = 4 << 20
	memTables = 16
)

// The parts of that room, in eighths, from which on nothing more is taken while
// the database cannot be written: what makes space on the disk comes last.
const (
	forAll     = 4
	forDeletes = 6
)

// stuck answers why the index takes no more: so many eighths of what may wait do,
// and it cannot be written.
func (x *index) stuck(eighths int64) error {
	if x.behind.Load() < memTable*memTables/8*eighths || !x.ailing() {
		return nil
	}
	return fmt.Errorf("index: it does not get on the disk: %w", *x.why.Load())
}

// fail gives the database up.
func (x *index) fail(f *fatal) {
	if x.failed.CompareAndSwap(nil, f) {
		x.log.Error("index failed, the store must be opened again", "err", f.text)
		close(x.dead)
	}
}

// fill adds what is in the database to the filter.
func (x *index) fill() {
	defer close(x.filled)
	err := scanPrefix(x.db, []byte(byBlock), func(k, _ []byte) (bool, error) {
		x.filter.add(k[len(byBlock):])
		select {
		case <-x.stop:
			return false, errors.New("index is closed")
		default:
			return true, nil
		}
	})
	if err == nil {
		x.filter.ready.Store(true)
	}
}

// load reads the tallies and what is covered; nothing, of a new index.
func (x *index) load() error {
	value, done, err := x.db.Get([]byte(covered))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	x.at, err = parseCover(value)
	if err = errors.Join(err, done.Close()); err != nil {
		return err
	}
	x.held.Store(x.at.held)
	return scanPrefix(x.db, []byte(bySeg), func(k, value []byte) (bool, error) {
		if len(k) != len(bySeg)+4 {
			return false, fmt.Errorf("index: key of %d bytes", len(k))
		}
		t, err := parseTally(value)
		if err != nil {
			return false, err
		}
		x.segs[binary.BigEndian.Uint32(k[len(bySeg):])] = t
		x.sums(t, 1)
		return true, nil
	})
}

// sums adds t to what all segments have together, or takes it away.
func (x *index) sums(t *tally, sign int64) {
	x.blocks.Add(sign * t.blocks)
	x.data.Add(sign * t.data)
	x.bad.Add(sign * t.bad)
}

// sound answers why the index does not say all that the log says.
func (x *index) sound() error {
	if f := x.failed.Load(); f != nil {
		return f
	}
	if err := x.stuck(forAll); err != nil {
		return err
	}
	return x.paid()
}

// paid enters what is owed, so that what is read of the index after it is what the log
// said before.
func (x *index) paid() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.broken != nil {
		return x.broken
	}
	return x.payLocked()
}

func segKey(id uint32) []byte { return binary.BigEndian.AppendUint32([]byte(bySeg), id) }

// get is the place of the block h; without one, false.
func (x *index) get(h []byte) (p place, ok bool, err error) {
	if !x.filter.may(h) {
		return p, false, nil
	}
	var buf [80]byte
	return x.place(append(append(buf[:0], byBlock...), h...))
}

func (x *index) place(k []byte) (p place, ok bool, err error) {
	if f := x.failed.Load(); f != nil {
		return p, false, f
	}
	value, done, err := x.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	p, _, err = parsePlace(value)
	return p, err == nil, errors.Join(err, done.Close())
}

// flushTime is how long a flush may take. Pebble tries for ever, on a full disk too.
const flushTime = 30 * time.Second

// flush puts all that was applied on the disk.
func (x *index) flush() error {
	if err := x.stuck(forAll); err != nil {
		return err
	}
	flushed := make(chan (<-chan struct{}), 1)
	x.behind.Add(memTable) // even one that is almost empty counts
	err := x.try(func() error {
		done, err := x.db.AsyncFlush()
		flushed <- done
		return err
	})
	if err != nil {
		return err
	}
	done, fails := <-flushed, x.fails.Load()
	late := time.NewTimer(flushTime)
	defer late.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-x.dead:
			return x.failed.Load()
		case <-late.C:
			return errors.New("index: it does not get on the disk in time")
		case <-time.After(flushLook):
			if x.fails.Load() > fails+flushTries {
				return fmt.Errorf("index: it does not get on the disk: %w", *x.why.Load())
			}
		}
	}
}

const (
	flushTries = 3
	flushPause = 20 * time.Millisecond // after one that failed
	flushLook  = 5 * time.Millisecond  // between two looks at whether it fails
)

// close closes the database, and waits for nothing that cannot be written. What
// does not get on the disk is read from the log again.
func (x *index) close(keep bool) {
	close(x.stop)
	select {
	case <-x.filled:
	case <-x.dead:
	}
	var err error
	if keep {
		err = x.flush()
	}
	x.closing.Store(true)
	if err = errors.Join(err, x.try(x.db.Close)); err != nil {
		x.log.Warn("index is behind the log", "err", err)
	}
}
