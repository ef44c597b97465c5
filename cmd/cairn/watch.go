package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// watch ends a context when nothing was seen to move for a time; 0 is never.
type watch struct {
	limit time.Duration
	timer *time.Timer
}

// patience gives a context that lives as long as w.moved is called in time.
func (p *program) patience(ctx context.Context) (context.Context, *watch, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{limit: p.timeout}
	if p.timeout > 0 {
		w.timer = time.AfterFunc(p.timeout, func() {
			cancel(fmt.Errorf("no progress for %s: %w", p.timeout, context.DeadlineExceeded))
		})
	}
	return ctx, w, func() {
		if w.timer != nil {
			w.timer.Stop()
		}
		cancel(nil)
	}
}

func (w *watch) moved() {
	if w.timer != nil {
		w.timer.Reset(w.limit)
	}
}

// every calls f once a time until stop is called, which waits for it.
func every(d time.Duration, f func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(ended)
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// reader calls f with the number of bytes of each read.
type reader struct {
	io.Reader
	f func(n int)
}

func (r reader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.f(n)
	return n, err
}

// cause is why ctx ended, or nil.
func cause(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}
