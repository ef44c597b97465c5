package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"
)

// jobs are the requests of /psa that are no pins yet:
//
//	add → queued → a worker of Run: pinning → forgotten, as the pin stands | failed
//
// They live in memory: what was not pinned when the peer stops is not asked for again.
type jobs struct {
	most int
	wake chan struct{} // has one element when something may wait

	mu    sync.Mutex
	all   map[cid.Cid]*job // guarded by mu
	queue []*job           // guarded by mu: in order
}

type job struct {
	root   cid.Cid
	ask    PinRequest
	made   time.Time
	status string             // guarded by jobs.mu
	info   map[string]string  // guarded by jobs.mu
	end    context.CancelFunc // guarded by jobs.mu: of the work; nil: it is not being done
	ended  chan struct{}      // closed when nobody works at it any more
}

func newJobs(most int) *jobs {
	return &jobs{most: most, wake: make(chan struct{}, 1), all: map[cid.Cid]*job{}}
}

// add makes a job for root, in the place of one that failed; one under way gets p.
func (j *jobs) add(root cid.Cid, p PinRequest) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if old := j.all[root]; old != nil && old.status != failed {
		old.ask = p
		return old, nil
	}
	if len(j.all) >= j.most {
		j.forgetFailed()
		if len(j.all) >= j.most {
			return nil, errMany
		}
	}
	one := &job{root: root, ask: p, made: time.Now().UTC(), status: queued, ended: make(chan struct{})}
	j.all[root] = one
	j.queue = append(j.queue, one)
	j.ring()
	return one, nil
}

// forgetFailed makes room. j.mu is held.
func (j *jobs) forgetFailed() {
	for root, one := range j.all {
		if one.status == failed {
			delete(j.all, root)
		}
	}
}

func (j *jobs) ring() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// list gives the state of every job.
func (j *jobs) list() []PinStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]PinStatus, 0, len(j.all))
	for _, one := range j.all {
		p := one.ask
		p.CID = one.root.String()
		out = append(out, PinStatus{ID: p.CID, Status: one.status, Created: one.made, Pin: p, Info: one.info})
	}
	return out
}

// drop forgets the job of root, when nobody works at it any more or ctx is done.
func (j *jobs) drop(ctx context.Context, root cid.Cid) bool {
	j.mu.Lock()
	one := j.all[root]
	if one == nil {
		j.mu.Unlock()
		return false
	}
	delete(j.all, root)
	running := one.end != nil
	if running {
		one.end()
	}
	j.mu.Unlock()
	if running {
		select {
		case <-one.ended:
		case <-ctx.Done():
		}
	}
	return true
}

// next gives the job that is to be done, or nil when ctx is done.
func (j *jobs) next(ctx context.Context) (*job, context.Context) {
	for {
		j.mu.Lock()
		for len(j.queue) > 0 {
			one := j.queue[0]
			j.queue = j.queue[1:]
			if j.all[one.root] != one {
				continue // dropped
			}
			if len(j.queue) > 0 {
				j.ring()
			}
			var work context.Context
			work, one.end = context.WithCancel(ctx)
			one.status = pinning
			j.mu.Unlock()
			return one, work
		}
		j.mu.Unlock()
		select {
		case <-j.wake:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// tell notes how far one is.
func (j *jobs) tell(one *job, info map[string]string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one.info = info
}

// done notes how one ended. A pin stands for a job that succeeded.
func (j *jobs) done(one *job, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one.end()
	one.end = nil
	close(one.ended)
	switch {
	case j.all[one.root] != one: // dropped
	case err == nil:
		delete(j.all, one.root)
	default:
		one.status, one.info = failed, map[string]string{"status_details": err.Error()}
	}
}

// Run pins what is asked for by /psa until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range s.cfg.Work {
		g.Go(func() error {
			for {
				one, work := s.jobs.next(ctx)
				if one == nil {
					return nil
				}
				s.jobs.done(one, s.work(work, one))
			}
		})
	}
	return g.Wait()
}

// work fetches and keeps what one asks for, unless nothing comes of it for long.
func (s *Server) work(ctx context.Context, one *job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := 5 * s.cfg.Idle
	stuck := time.AfterFunc(idle, func() { cancel(errors.New("nothing came of it for " + idle.String())) })
	defer stuck.Stop()
	s.jobs.mu.Lock()
	ask := one.ask
	s.jobs.mu.Unlock()
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
