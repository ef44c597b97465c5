// Package disk is the store of a real peer: its blocks, one file each, and
// beside them the ledger that says why they are kept.
//
//	Put:  block → temporary file → fsync → rename → fsync of the directory
//	Hold: lease and keys → one synced batch of the ledger
//	Get:  file → hash → block, or ErrMismatch
//
// The layout of a directory is
//
//	lock      held while the store is open; the process id stands in it
//	version   the format, 1
//	flatfs/   blocks, by the base32 of their multihash
//	ledger/   leases, what they hold, and pins
//
// It promises that what was answered with nil is there after a power cut, that
// no half-written block is ever seen, and that no byte is given that does not
// hash to its key. A block found corrupt is as good as absent to Put and Has, so
// that it is mended by putting it again.
//
// It does not decide what is kept: it has no quota and collects no garbage.
// Listing all blocks reads all their names into memory, some 60 bytes each.
//
// Its goroutines are those of its two databases, which Close ends, and those of
// a Put, which end before it answers.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/gofrs/flock"
	flatfs "github.com/ipfs/go-ds-flatfs"
)

// Config is how a store is opened. The zero value is for production.
type Config struct {
	Log *slog.Logger // nil is silence

	// Reserve is how many bytes of the disk blocks leave free; 0 is 64 MiB.
	// The ledger may use three quarters of them, since it cannot go on when a
	// write of it fails.
	Reserve int64
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Reserve == 0 {
		c.Reserve = 64 << 20
	}
	return c
}

// Store is a [blocks.Store] and a [blocks.Ledger] in a directory.
type Store struct {
	dir    string
	cfg    Config
	lock   *flock.Flock
	files  *files
	ledger *ledger

	mu     sync.Mutex
	closed bool           // guarded by mu
	users  sync.WaitGroup // calls that are under way; added to under mu
}

var (
	_ blocks.Store  = (*Store)(nil)
	_ blocks.Ledger = (*Store)(nil)
)

// Open opens the store in dir and makes it if there is none. The answer is a
// [blocks.LockedError] while another process has it open, and a
// [blocks.NewerError] when its format is newer than this program.
func Open(dir string, cfg Config) (_ *Store, err error) {
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("disk: open: %w", spaced(err))
	}
	s := &Store{dir: dir, cfg: cfg}
	if s.lock, err = lockDir(dir); err != nil {
		return nil, fmt.Errorf("disk: open: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("disk: open: %w", spaced(err)), s.release())
		}
	}()
	if err := checkVersion(dir); err != nil {
		return nil, err
	}
	if s.files, err = openFiles(filepath.Join(dir, "flatfs")); err != nil {
		return nil, err
	}
	if s.ledger, err = openLedger(filepath.Join(dir, "ledger"), cfg.Log); err != nil {
		return nil, err
	}
	return s, nil
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
	if err := s.release(); err != nil {
		return fmt.Errorf("disk: close: %w", err)
	}
	return nil
}

// release lets go of what is open, the last first.
func (s *Store) release() error {
	var errs []error
	if s.ledger != nil {
		errs = append(errs, s.ledger.close())
	}
	if s.files != nil {
		errs = append(errs, s.files.ds.Close())
	}
	return errors.Join(append(errs, unlock(s.lock))...)
}

// enter begins a call; the caller says s.users.Done() at its end.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fs.ErrClosed
	}
	s.users.Add(1)
	return nil
}

// openFiles opens the blocks. They are made beside their place and renamed, so
// that a crash leaves all of it or nothing.
func openFiles(dir string) (*files, error) {
	shard := flatfs.NextToLast(2)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := makeFiles(dir, shard); err != nil {
			return nil, err
		}
	}
	ds, err := flatfs.Open(dir, true)
	if err != nil {
		return nil, err
	}
	if got := ds.ShardStr(); got != shard.String() {
		return nil, errors.Join(fmt.Errorf("blocks are laid out as %s, want %s", got, shard), ds.Close())
	}
	return &files{ds: ds, dir: dir, shard: shard.Func()}, syncPath(dir)
}

func makeFiles(dir string, shard *flatfs.ShardIdV1) error {
	fresh := dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	if err := flatfs.Create(fresh, shard); err != nil {
		return err
	}
	for _, path := range []string{filepath.Join(fresh, flatfs.SHARDING_FN), fresh} {
		if err := syncPath(path); err != nil {
			return err
		}
	}
	if err := os.Rename(fresh, dir); err != nil {
		return err
	}
	return syncPath(filepath.Dir(dir))
}
