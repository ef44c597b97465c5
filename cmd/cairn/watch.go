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
