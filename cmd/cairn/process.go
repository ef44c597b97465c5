package main

import (
	"context"
	"os"
	"time"
)

// process names a process for good: the system gives an id again, but not with
// the same time of start.
type process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in the system's own unit
}

// identify names the running process pid.
func identify(pid int) (process, error) {
	start, err := startTime(pid)
	return process{pid, start}, err
}

// find gives a handle of the process, if it lives. The handle is taken first, so
// that what was looked at is what a signal reaches.
func (p process) find() (*os.Process, bool) {
	if p.PID <= 0 {
		return nil, false
	}
	h, err := os.FindProcess(p.PID)
	if err != nil {
		return nil, false
	}
	start, err := startTime(p.PID)
	if err != nil || start != p.Start {
		_ = h.Release() // of a stranger
		return nil, false
	}
	return h, true
}

func (p process) alive() bool {
	h, ok := p.find()
	if ok {
		_ = h.Release() // only looked at
	}
	return ok
}

// signal sends sig to the process, if it lives.
func (p process) signal(sig os.Signal) error {
	h, ok := p.find()
	if !ok {
		return nil
	}
	defer h.Release()
	if err := h.Signal(sig); err != nil && p.alive() {
		return err
	}
	return nil
}

// gone waits until the process is, and reports whether it is.
func (p process) gone(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for p.alive() {
		select {
		case <-ctx.Done():
			return !p.alive()
		case <-tick.C:
		}
	}
	return true
}
