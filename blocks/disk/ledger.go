package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// The keys of the ledger. Multihashes say their own length, so none is the
// beginning of another and the order of keys is that of the multihashes.
//
//	h/ multihash lease-id → nothing      which leases hold a block
//	l/ lease-id           → lease        as it was signed
//	u/ lease-id multihash → nothing      which blocks a lease holds
//	p/ root               → pin, JSON    what the owner wants kept
const (
	byHash  = "h/"
	byID    = "l/"
	underID = "u/"
	byRoot  = "p/"
)

// ledger is the database. It is small: a megabyte or two of memory serves it.
type ledger struct {
	db   *pebble.DB
	held atomic.Int64 // blocks under at least one lease

	mu     sync.Mutex // from reading a lease to writing over it
	broken error      // guarded by mu; a write failed and pebble cannot go on
}

func openLedger(dir string, log *slog.Logger) (_ *ledger, err error) {
	cache := pebble.NewCache(4 << 20)
	defer cache.Unref() // the database has its own reference
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	defer catch(&err)
	db, err := pebble.Open(dir, &pebble.Options{
		Cache:              cache,
		MemTableSize:       1 << 20,
		MaxOpenFiles:       64,
		FormatMajorVersion: pebble.FormatColumnarBlocks, // a later one is a new version of ours
		Logger:             quiet{log},
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l := &ledger{db: db}
	if err := l.count(); err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: %w", err), db.Close())
	}
	return l, nil
}

// commit writes b and answers once it is on the disk. fill reads what b depends
// on; no other commit comes between.
func (l *ledger) commit(fill func(*pebble.Batch) error) (err error) {
	b := l.db.NewBatch()
	if err := l.apply(b, fill); err != nil {
		return err
	}
	// Other commits go on meanwhile, and share the sync.
	return errors.Join(b.SyncWait(), b.Close())
}

func (l *ledger) apply(b *pebble.Batch, fill func(*pebble.Batch) error) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		var f *fatal
		if errors.As(err, &f) {
			l.broken = err
		}
	}()
	if l.broken != nil {
		return l.broken
	}
	if err := fill(b); err != nil {
		return errors.Join(err, b.Close())
	}
	defer catch(&err)
	return l.db.ApplyNoSyncWait(b, pebble.Sync)
}

// close closes the database, unless it broke and would wait for ever.
func (l *ledger) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return nil
	}
	return l.db.Close()
}

// quiet is pebble's logger. Pebble tells of every table it writes.
type quiet struct{ log *slog.Logger }

func (q quiet) Infof(string, ...any) {}

func (q quiet) Errorf(format string, args ...any) {
	q.log.Warn("ledger complains", "err", fmt.Sprintf(format, args...))
}

// Fatalf must not return: pebble's state is lost. What it says in one of our
// calls is that call's error; in pebble's own goroutines it ends the process,
// which starts again from what is on the disk.
func (q quiet) Fatalf(format string, args ...any) {
	q.log.Error("ledger failed", "err", fmt.Sprintf(format, args...))
	f := &fatal{text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if err, ok := a.(error); ok {
			f.cause = err
		}
	}
	panic(f)
}

type fatal struct {
	text  string
	cause error
}

func (f *fatal) Error() string { return f.text }
func (f *fatal) Unwrap() error { return f.cause }

// catch, deferred, makes a fatal of this goroutine its error.
func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case *fatal:
		*err = r
	default:
		panic(r)
	}
}
