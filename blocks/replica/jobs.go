package replica

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cairn-network/cairn/blocks"
)

// Jobs gives the puts whose journal is open, oldest first: those being placed, those
// queued, and those that wait for the next try.
func (s *Set) Jobs(ctx context.Context) (all []blocks.Job, err error) {
	for pin, err := range s.ledger.Pins(ctx) {
		if err != nil {
			return nil, fmt.Errorf("replica: jobs: %w", err)
		}
		if pin.Pending {
			all = append(all, s.job(pin))
		}
	}
	slices.SortFunc(all, func(a, b blocks.Job) int { return a.Began.Compare(b.Began) })
	return all, nil
}

// job says how far the put of pin is.
func (s *Set) job(pin blocks.Pin) blocks.Job {
	out := blocks.Job{Root: pin.Root, Name: pin.Name, Size: pin.Size, Began: pin.Time}
	s.mu.Lock()
	j, rested := s.jobs[pin.Lease], s.rested[pin.Lease]
	s.mu.Unlock()
	switch {
	case j != nil:
		out.Active = j.working()
		out.Progress, out.Failed = j.state()
	case rested != nil:
		out.Progress, out.Failed = rested.Progress, rested.Failed
	default: // not tried since the start
		out.Progress = blocks.Progress{Root: pin.Root, Blocks: pin.Blocks, Copies: []int{pin.Blocks}}
	}
	return out
}

// rests notes how far j got before it was laid aside; what is done is forgotten.
func (s *Set) rests(j *Job, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done {
		delete(s.rested, j.lease.ID())
		return
	}
	var r blocks.Job
	r.Progress, r.Failed = j.state()
	s.rested[j.lease.ID()] = &r
}

func (j *Job) working() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end != nil
}

// state gives how far j is, for who waits for its quorum, and who failed it.
func (j *Job) state() (blocks.Progress, []blocks.Failure) {
	p := j.progress(blocks.WaitQuorum)
	j.mu.Lock()
	defer j.mu.Unlock()
	var failed []blocks.Failure
	for q, err := range j.lastErr {
		failed = append(failed, blocks.Failure{Peer: q, Err: err})
	}
	slices.SortFunc(failed, func(a, b blocks.Failure) int { return strings.Compare(string(a.Peer), string(b.Peer)) })
	return p, failed
}
