package disk

import (
	"context"
	"time"
)

// longestRest is how long a piece of housekeeping rests at most.
const longestRest = 50 * time.Millisecond

// Resting gives what is called after each piece of work that can wait: it rests as long
// as the piece took, 50 ms at most, so that others have half of the disk.
func (s *Store) Resting() func(context.Context) {
	rest := s.resting(true)
	return func(ctx context.Context) { rest(ctx) }
}

// resting gives what is called after each piece of housekeeping: it rests as long
// as the piece took, if somebody used the store meanwhile, or always, and answers
// whether somebody did.
func (s *Store) resting(always bool) func(context.Context) (busy bool) {
	calls, at := s.calls.Load(), time.Now()
	return func(ctx context.Context) (busy bool) {
		if busy = s.calls.Load() != calls; always || busy {
			select {
			case <-time.After(min(time.Since(at), longestRest)):
			case <-ctx.Done():
			}
		}
		calls, at = s.calls.Load(), time.Now()
		return busy
	}
}
