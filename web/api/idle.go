package api

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// untilIdle gives a context of r that ends when nothing has moved for Timing.GetIdle, with a
// cause that says so. end must be called.
func (s *server) untilIdle(r *http.Request) (ctx context.Context, moved, end func()) {
	idle := s.cfg.Timing.GetIdle
	ctx, cancel := context.WithCancelCause(r.Context())
	watch := time.AfterFunc(idle, func() {
		cancel(fmt.Errorf("nothing came for %s: %w", idle, context.DeadlineExceeded))
	})
	return ctx, func() { watch.Reset(idle) }, func() {
		watch.Stop()
		cancel(nil)
	}
}
