// Package disk is the store of a real peer: its blocks in a log of segments, the
// ledger that says why they are kept in the same log, and an index of it.
//
//	Put, Hold, Pin: records → log (one write and one fsync for all who come together) → index → nil
//	Get:            index → segment → checksum → block, or ErrMismatch
//	Open:           index → the tail of the log behind it → ready
//
// The layout of a directory is
//
//	lock          held while the store is open; the process id stands in it
//	version       the format, 2
//	seg-*.log     the log: all that is true; package seglog is its format
//	index/        a database of what stands where; it can be thrown away
//	reserve       space to give up, so that a full disk can still delete
//
// The records of the log are
//
//	1 block    key multihash, data the bytes
//	2 delete   key multihash: what is older is no more
//	3 bad      key multihash, with the sequence number of the block that is wrong
//	4 lease    key lease id, data the lease as it was signed
//	5 hold     key lease id, data multihashes, each behind its length in one byte
//	6 pin      key root, data the pin in JSON
//	7 unpin    key root
//	8 release  key lease id, data multihashes as those of a hold, which are held no more
//	9 record   key its kind in one byte and its key, data the record as it was signed
//	10 drop    key that of a record
//
// Of the records of one key the youngest counts, of leases that with the highest
// sequence number of its own, of holds all. A delete stays until nothing older
// than it is left in any other segment, so that compaction brings nothing back.
//
// It promises that what was answered with nil is there after a kill and a power
// cut, and that no byte is given whose checksum is wrong: it was hashed when it
// came in, and is hashed again when the checksum fails and when all is verified.
// A block found wrong is put aside: it is as good as absent, so that it is mended
// by putting it again. When the disk is full or fails, nothing more is promised
// until it works again, which needs no restart; reading goes on. An index that cannot
// be written stays behind the log in memory, and is written when it can be. When it
// cannot be read calls say so until it can, and then it is brought up to the log.
//
// It does not decide what is kept: what is to be forgotten the caller says.
// It has no quota.
//
// Of what it holds it keeps nothing in memory but what is being written. Its
// goroutines are the one that writes the log and those of the index's database,
// which Close ends, and those of [Store.Run].
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Config is how a store is opened. The zero value is for production.
type Config struct {
	Log *slog.Logger // nil is silence
	FS  vfs.FS       // nil is the system's

	// Reserve is how many bytes of the disk blocks leave free; 0 is 64 MiB.
	// The ledger may use three quarters of them.
	Reserve int64

	SegmentSize int64         // bytes after which a new segment begins; 0 is 256 MiB, at most 1 GiB
	GroupTime   time.Duration // how long a write waits for others, at most; 0 is 2 ms
	GroupBytes  int64         // bytes after which it waits no more; 0 is 16 MiB

	Rebuild  bool // throw the index away first
	ReadOnly bool // change nothing but the index: for looking at a store whose daemon is not running
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Reserve == 0 {
		c.Reserve = 64 << 20
	}
	return c
}

// Store is a [blocks.Store] and a [blocks.Ledger] in a directory.
type Store struct {
	dir     string
	cfg     Config
	unlock  func() error
	log     *seglog.Log
	index   *index
	flights *flights
	buffers buffers
	reserve reserve

	calls atomic.Int64 // that were begun

	compacting sync.Mutex // one compaction at a time

	mu     sync.Mutex
	closed bool                // guarded by mu
	users  sync.WaitGroup      // calls that are under way; added to under mu
	bad    map[string]uint64   // guarded by mu; sequence numbers of blocks found wrong, by multihash
	reads  map[string]struct{} // guarded by mu; multihashes of blocks read of late
}

var (
	_ blocks.Store       = (*Store)(nil)
	_ blocks.Ledger      = (*Store)(nil)
	_ blocks.RecordStore = (*Store)(nil)
)

// Open opens the store in dir and makes it if there is none. The answer is a
// [blocks.LockedError] while another process has it open, and a
// [blocks.NewerError] when its format is newer than this program. An older
// format is brought forward first.
func Open(dir string, cfg Config) (_ *Store, err error) {
	cfg = cfg.withDefaults()
	if err := makeDir(cfg.FS, dir, cfg.ReadOnly); err != nil {
		return nil, fmt.Errorf("disk: open: %w", spaced(err))
	}
	s := &Store{
		dir: dir, cfg: cfg, flights: newFlights(),
		bad: make(map[string]uint64), reads: make(map[string]struct{}),
	}
	if s.unlock, err = lockDir(cfg.FS, dir, cfg.ReadOnly); err != nil {
		return nil, fmt.Errorf("disk: open: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("disk: open: %w", spaced(err)), s.release())
		}
	}()
	format, err := checkVersion(cfg.FS, dir, cfg.ReadOnly)
	if err != nil {
		return nil, err
	}
	if err := s.openLog(); err != nil {
		return nil, err
	}
	if !cfg.ReadOnly {
		s.makeReserve()
		if err := s.migrate(format); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openLog opens the log and the index, and brings the index up to date.
func (s *Store) openLog() (err error) {
	s.log, err = seglog.Open(s.dir, seglog.Config{
		FS: s.cfg.FS, Log: s.cfg.Log, SegmentSize: s.cfg.SegmentSize,
		GroupTime: s.cfg.GroupTime, GroupBytes: s.cfg.GroupBytes, ReadOnly: s.cfg.ReadOnly,
		Apply:   func(es []seglog.Entry, end seglog.Pos) error { return s.index.apply(es, end) },
		Damaged: s.damaged,
	})
	if err != nil {
		return err
	}
	s.makeRoom()
	fresh := s.cfg.Rebuild
	if !fresh {
		why := s.reuseIndex()
		if why != nil {
			fresh = true
			if len(s.log.IDs()) > 0 {
				s.cfg.Log.Info("index is rebuilt from the log", "why", why)
			}
		}
	}
	if fresh {
		if err := s.freshIndex(); err != nil {
			return err
		}
	}
	return s.replay()
}

// damaged is told of what a failed sync has lost.
func (s *Store) damaged(e seglog.Entry) {
	if e.Kind == kindBlock {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.bad[string(e.Key)] = e.Seq
	}
}

// Close waits for calls that are under way, and lets go of the directory. Later
// calls fail with [fs.ErrClosed].
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.users.Wait()
	s.writeReads()
	if err := s.release(); err != nil {
		return fmt.Errorf("disk: close: %w", err)
	}
	return nil
}

// release lets go of what is open, the last first.
func (s *Store) release() error {
	var errs []error
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.index != nil {
		s.index.close(true)
	}
	return errors.Join(append(errs, s.unlock())...)
}

// enter begins a call; the caller says s.users.Done() at its end.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fs.ErrClosed
	}
	s.users.Add(1)
	s.calls.Add(1)
	return nil
}
