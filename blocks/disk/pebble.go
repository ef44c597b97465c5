package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// scanPrefix calls each for the entries below prefix in order, until it wants no
// more. k and value are good for the call only.
func scanPrefix(r pebble.Reader, prefix []byte, each func(k, value []byte) (bool, error)) (err error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: above(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		more, err := each(it.Key(), value)
		if err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// above is the first key behind all those that begin with prefix; nil is none.
func above(prefix []byte) []byte {
	b := bytes.Clone(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}

// quiet is pebble's logger. Pebble tells of every table it writes.
type quiet struct {
	log *slog.Logger
	x   *index
}

func (q *quiet) Infof(string, ...any) {}

func (q *quiet) Errorf(format string, args ...any) {
	q.log.Warn("index complains", "err", fmt.Sprintf(format, args...))
}

// Fatalf must not return: pebble's state is lost. The goroutine at hand, which is
// one of pebble's own or one that openPebble or close has begun, ends, and every
// further use of the index fails.
func (q *quiet) Fatalf(format string, args ...any) {
	f := &fatal{text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if err, ok := a.(error); ok {
			f.cause = err
		}
	}
	q.log.Error("index failed, the store must be opened again", "err", f.text)
	q.x.failed.Store(f)
	runtime.Goexit()
}

type fatal struct {
	text  string
	cause error
}

func (f *fatal) Error() string { return "index: " + f.text }
func (f *fatal) Unwrap() error { return f.cause }

// openPebble opens the database in dir, whose logger is that of x. A database of
// garbage may make pebble panic: that is an error.
func openPebble(dir string, o *pebble.Options, x *index) (*pebble.DB, error) {
	type result struct {
		db  *pebble.DB
		err error
	}
	opened := make(chan result, 1)
	// It ends with Open, which a fatal keeps waiting for ever: then it is left behind.
	go func() {
		defer func() {
			if r := recover(); r != nil {
				opened <- result{err: fmt.Errorf("%v", r)}
			}
		}()
		db, err := pebble.Open(dir, o)
		opened <- result{db, err}
	}()
	for {
		select {
		case r := <-opened:
			if r.err != nil {
				return nil, fmt.Errorf("index: %w", r.err)
			}
			return r.db, nil
		case <-time.After(flushLook):
			if f := x.failed.Load(); f != nil {
				return nil, f
			}
		}
	}
}

// unlocked is a file system for a database whose directory is locked already. A
// lock of its own could not be let go of after a fatal.
type unlocked struct{ vfs.FS }

func (u unlocked) Unwrap() vfs.FS { return u.FS }

func (unlocked) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }
