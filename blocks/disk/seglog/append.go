package seglog

import (
	"context"
	"errors"
	"fmt"
)

// ErrReadOnly says that the log was opened to be read only.
var ErrReadOnly = errors.New("seglog: opened read-only")

// request is a part of a call of Append: at most a group of records.
type request struct {
	recs []Record
	sums []uint32 // of the data
	pos  []Pos    // the answer
	size int64
	roll bool // begin a new segment
	err  error
	done chan struct{}
}

// Append writes records and answers their positions when they are on the disk.
// After an error any subset of them may be there.
func (l *Log) Append(ctx context.Context, recs ...Record) ([]Pos, error) {
	if l.cfg.ReadOnly {
		return nil, ErrReadOnly
	}
	for i := range recs {
		if err := recs[i].check(); err != nil {
			return nil, err
		}
	}
	if err := l.enter(); err != nil {
		return nil, fmt.Errorf("seglog: append: %w", err)
	}
	defer l.users.Done()
	var sent []*request
	var err error
	for len(recs) > 0 && err == nil {
		r := &request{done: make(chan struct{})}
		n := 0
		for n < len(recs) && (n == 0 || r.size+recs[n].size() <= l.cfg.GroupBytes) {
			r.size += recs[n].size()
			r.sums = append(r.sums, sum(recs[n].Data))
			n++
		}
		r.recs, recs = recs[:n], recs[n:]
		if err = l.room.Acquire(ctx, r.size); err != nil {
			break
		}
		select {
		case l.in <- r:
			sent = append(sent, r)
		case <-ctx.Done():
			l.room.Release(r.size)
			err = ctx.Err()
		}
	}
	var pos []Pos
	for _, r := range sent {
		select {
		case <-r.done:
			err = errors.Join(err, r.err)
			pos = append(pos, r.pos...)
		case <-ctx.Done():
			return nil, fmt.Errorf("seglog: append: %w", ctx.Err())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("seglog: append: %w", err)
	}
	return pos, nil
}

// Ready answers nil when records can be appended as far as is known. After a
// failure it tries, and when it answers nil what had failed is surely void.
func (l *Log) Ready(ctx context.Context) error {
	if !l.down.Load() {
		return nil
	}
	return l.ask(ctx, &request{done: make(chan struct{})})
}

// Roll begins a new segment, so that the one before can be compacted.
func (l *Log) Roll(ctx context.Context) error {
	return l.ask(ctx, &request{roll: true, done: make(chan struct{})})
}

// ask has the writer do what r says, which has no records.
func (l *Log) ask(ctx context.Context, r *request) error {
	if err := l.enter(); err != nil {
		return fmt.Errorf("seglog: %w", err)
	}
	defer l.users.Done()
	select {
	case l.in <- r:
	case <-ctx.Done():
		return fmt.Errorf("seglog: %w", ctx.Err())
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("seglog: %w", ctx.Err())
	}
}
