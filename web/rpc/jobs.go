package rpc

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// jobs are the requests of /psa:
//
//	add → queued → a worker of Run: pinning → pinned | failed
//
// They outlive the peer: what waited when it stopped waits again, see shelf. Whether a
// request is met the peer's pins say: one that is pinned no more is no request either.
type jobs struct {
	most  int
	shelf shelf
	wake  chan struct{} // has one element when something may wait

	mu    sync.Mutex
	all   map[cid.Cid]*job // guarded by mu
	queue []*job           // guarded by mu: in order
}

type job struct {
	root   cid.Cid
	made   time.Time
	ask    PinRequest         // guarded by jobs.mu
	again  bool               // guarded by jobs.mu: ask has changed while it was worked at
	status string             // guarded by jobs.mu
	info   map[string]string  // guarded by jobs.mu
	end    context.CancelFunc // guarded by jobs.mu: of the work; nil: it is not being done
	met    time.Time          // guarded by jobs.mu: when it was, in this run
	ended  chan struct{}      // closed when nobody works at it any more
}

// newJobs takes up what is on the shelf, the oldest first.
func newJobs(most int, on shelf) *jobs {
	j := &jobs{most: most, shelf: on, wake: make(chan struct{}, 1), all: map[cid.Cid]*job{}}
	kept := on.load()
	slices.SortFunc(kept, func(a, b *job) int { return a.made.Compare(b.made) })
	for _, one := range kept[:min(len(kept), most)] {
		j.all[one.root] = one
		if one.status == queued {
			j.queue = append(j.queue, one)
		}
	}
	if len(j.queue) > 0 {
		j.ring()
	}
	return j
}

// add makes a job for root, in the place of one that has ended; one that has not gets p.
func (j *jobs) add(root cid.Cid, p PinRequest) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	p.CID = root.String()
	old := j.all[root]
	if old == nil && len(j.all) >= j.most {
		j.makeRoomLocked()
		if len(j.all) >= j.most {
			return errMany
		}
	}
	one := &job{root: root, ask: p, made: time.Now().UTC(), status: queued, ended: make(chan struct{})}
	if old != nil && old.status != failed {
		one.made = old.made
	}
	if err := j.shelf.put(one); err != nil {
		return err
	}
	if old != nil && (old.status == queued || old.status == pinning) {
		old.ask, old.again = p, old.status == pinning
		return nil
	}
	j.all[root] = one
	j.queue = append(j.queue, one)
	j.ring()
	return nil
}

// makeRoomLocked forgets what failed, and if that is not enough what is said of requests
// that are met: their pins stand.
func (j *jobs) makeRoomLocked() {
	for _, state := range []string{failed, pinned} {
		for root, one := range j.all {
			if one.status == state && len(j.all) >= j.most {
				delete(j.all, root)
				j.shelf.drop(root)
			}
		}
	}
}

func (j *jobs) ring() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// list gives the state of every job; is says what the peer had pinned at that time. One that
// was met before and is pinned no more is forgotten.
func (j *jobs) list(is map[cid.Cid]blocks.Pin, at time.Time) []PinStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]PinStatus, 0, len(j.all))
	for root, one := range j.all {
		ask := one.ask
		if one.status == pinned {
			pin, ok := is[root]
			if !ok && one.met.Before(at) {
				delete(j.all, root)
				j.shelf.drop(root)
				continue
			}
			if ok {
				ask.Name = pin.Name
			}
		}
		out = append(out, PinStatus{ID: root.String(), Status: one.status, Created: one.made, Pin: ask, Info: one.info})
	}
	return out
}

// drop forgets the job of root, when nobody works at it any more or ctx is done. It says
// whether there was one that was not met.
func (j *jobs) drop(ctx context.Context, root cid.Cid) bool {
	j.mu.Lock()
	one := j.all[root]
	if one == nil {
		j.mu.Unlock()
		return false
	}
	delete(j.all, root)
	j.shelf.drop(root)
	running, open := one.end != nil, one.status != pinned
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
	return open
}

// next gives the job that is to be done and what is asked, or nil when ctx is done.
func (j *jobs) next(ctx context.Context) (*job, PinRequest, context.Context) {
	for ctx.Err() == nil {
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
			one.status, one.again = pinning, false
			ask := one.ask
			j.mu.Unlock()
			return one, ask, work
		}
		j.mu.Unlock()
		select {
		case <-j.wake:
		case <-ctx.Done():
		}
	}
	return nil, PinRequest{}, nil
}

// tell notes how far one is.
func (j *jobs) tell(one *job, info map[string]string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one.info = info
}

// done notes how one ended; one whose peer stops has not ended.
func (j *jobs) done(one *job, err error, stopping bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	one.end()
	one.end = nil
	dropped := j.all[one.root] != one
	if !dropped && one.again {
		one.status, one.info = queued, nil
		j.queue = append(j.queue, one)
		j.ring()
		return nil
	}
	close(one.ended)
	switch {
	case dropped:
		return nil
	case stopping && err != nil: // as it stands on the shelf
		one.status, one.info = queued, nil
		return nil
	case err == nil:
		one.status, one.info, one.met = pinned, nil, time.Now()
	default:
		one.status, one.info = failed, map[string]string{"status_details": err.Error()}
	}
	return j.shelf.put(one)
}
