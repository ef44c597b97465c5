package disk

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
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

// Fatalf must not return: pebble's state is lost. The goroutine at hand ends, and
// with it the locks that it has, so that no read waits for them; every further use
// of the index fails, nobody waits for it, and nothing of it reaches the disk. An
// Open stays where it is instead: it would close what others of pebble's still use.
func (q *quiet) Fatalf(format string, args ...any) {
	f := &fatal{text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if err, ok := a.(error); ok {
			f.cause = err
		}
	}
	q.x.fail(f)
	if q.x.opened.Load() {
		runtime.Goexit()
	}
	select {}
}

// tryTime is how long the database may take for anything but a flush.
const tryTime = time.Minute

// try does what may wait for the database's locks, but waits no longer than until
// the database fails, or tryTime: then what f began is left behind.
func (x *index) try(f func() error) error {
	if f := x.failed.Load(); f != nil {
		return f
	}
	late := time.NewTimer(tryTime)
	defer late.Stop()
	done := make(chan error, 1)
	go func() { // ends with f, or never if the database has failed
		defer func() {
			if r := recover(); r != nil { // a database of garbage
				done <- fmt.Errorf("index: %v", r)
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-x.dead:
		return x.failed.Load()
	case <-late.C:
		return errors.New("index: it does not answer")
	}
}

type fatal struct {
	text  string
	cause error
}

func (f *fatal) Error() string { return "index: " + f.text }
func (f *fatal) Unwrap() error { return f.cause }

// openPebble opens the database in dir, whose logger is that of x.
func openPebble(dir string, o *pebble.Options, x *index) (*pebble.DB, error) {
	g := newGate(o)
	opened := make(chan *pebble.DB, 1)
	err := x.try(func() error {
		db, err := pebble.Open(dir, o)
		opened <- db
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	x.opened.Store(true)
	g.open()
	return <-opened, nil
}
