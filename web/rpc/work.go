package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"golang.org/x/sync/errgroup"
)

// Run pins what is asked for by /psa, and brings the mutable files to others, until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.files.run(ctx) })
	for range s.cfg.Work {
		g.Go(func() error {
			for {
				one, ask, work := s.jobs.next(ctx)
				if one == nil {
					return nil
				}
				err := s.work(work, one, ask)
				if err := s.jobs.done(one, err, ctx.Err() != nil); err != nil {
					s.cfg.Log.Warn("how a request of the pinning service ended is not kept", "root", one.root, "err", err)
				}
			}
		})
	}
	return g.Wait()
}

// work fetches and keeps what is asked for, unless nothing comes of it for long.
func (s *Server) work(ctx context.Context, one *job, ask PinRequest) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := 5 * s.cfg.Idle
	stuck := time.AfterFunc(idle, func() { cancel(errors.New("nothing came of it for " + idle.String())) })
	defer stuck.Stop()
	for _, addr := range ask.Origins { // they may help; nothing depends on them
		call, end := context.WithTimeout(ctx, 10*time.Second)
		if _, err := s.n.Connect(call, addr); err != nil {
			s.cfg.Log.Debug("origin not reached", "addr", addr, "err", err)
		}
		end()
	}
	safe := -1
	_, err := s.n.Pin(ctx, one.root.String(), ask.Name, func(p blocks.Progress) {
		if p.Safe != safe {
			safe = p.Safe
			stuck.Reset(idle)
			s.jobs.tell(one, infoOf(p))
		}
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return err
}
