package api

import (
	"context"
	"fmt"
	"net/http"
)

// health answers how well everything under a path is kept.
func (s *server) health(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path", "detail")
	name, detail := p.path(), p.flag("detail", false)
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	limit := s.cfg.Timing.Ask
	ctx, cancel := context.WithTimeoutCause(r.Context(), limit,
		fmt.Errorf("the holders did not answer within %s: %w", limit, context.DeadlineExceeded))
	defer cancel()
	h, err := s.n.Health(ctx, name, detail)
	if err != nil {
		s.fail(w, r, because(ctx, err))
		return
	}
	s.reply(w, http.StatusOK, NewHealth(h))
}
