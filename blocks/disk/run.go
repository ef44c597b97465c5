package disk

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cockroachdb/pebble/v2"
)

const (
	tendEvery  = time.Minute         // between two looks at what can be compacted
	scrubEvery = 10 * time.Second    // between two pieces of the scrub
	scrubTime  = 30 * 24 * time.Hour // for all of it
)

// Run tends the store until ctx is done: it compacts as [Store.Compact] does,
// gently, and hashes every block once in 30 days.
func (s *Store) Run(ctx context.Context) error {
	tend, scrub := time.NewTicker(tendEvery), time.NewTicker(scrubEvery)
	defer tend.Stop()
	defer scrub.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tend.C:
			s.tend(ctx)
		case <-scrub.C:
			s.scrub(ctx)
		}
	}
}

func (s *Store) tend(ctx context.Context) {
	s.writeReads()
	if s.enter() == nil {
		if !s.reserve.spent() { // it grows with the store; room makes it again
			s.makeReserve()
		}
		s.users.Done()
	}
	switch r, err := s.compact(ctx, nil, true); {
	case err != nil && ctx.Err() == nil:
		s.cfg.Log.Warn("compaction failed", "err", err)
	case r.Segments > 0:
		s.cfg.Log.Info("segments were compacted", "segments", r.Segments, "bytes", r.Bytes)
	}
}

// scrub verifies the next piece: as much as is due, and one block at least.
func (s *Store) scrub(ctx context.Context) {
	from, err := s.scrubbed()
	var r Report
	if err == nil {
		due := s.index.data.Load() / int64(scrubTime/scrubEvery)
		from, err = s.verifySome(ctx, from, max(due, 1), &r)
	}
	if err == nil && !s.index.ailing() {
		err = s.index.try(func() error { return s.index.db.Set([]byte(scrubAt), from, pebble.NoSync) })
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn("scrub failed", "err", err)
	}
	for _, h := range r.Bad {
		s.cfg.Log.Warn("block has to be mended", "cid", blocks.Key(h))
	}
}

// scrubbed is where the scrub goes on; nil is at the beginning.
func (s *Store) scrubbed() ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.users.Done()
	value, done, err := s.index.db.Get([]byte(scrubAt))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(value), done.Close()
}
