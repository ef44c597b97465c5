package api

import (
	"context"
	"fmt"
	"net/http"
)

// Connected says which peer a connect has reached.
type Connected struct {
	ID string `json:"id"`
}

// BadAddressError says that an address cannot be one of a peer.
type BadAddressError struct{ Err error }

func (e *BadAddressError) Error() string { return e.Err.Error() }
func (e *BadAddressError) Unwrap() error { return e.Err }

// NoAnswerError says that nobody, or somebody else, answered at an address.
type NoAnswerError struct{ Err error }

func (e *NoAnswerError) Error() string { return e.Err.Error() }
func (e *NoAnswerError) Unwrap() error { return e.Err }

// connect dials a peer.
func (s *server) connect(w http.ResponseWriter, r *http.Request) {
	p := query(r, "address")
	addr := p.q.Get("address")
	if addr == "" {
		p.bad("address", "missing: want a multiaddress with /p2p/ and the peer's id")
	}
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.cfg.Timing.Ask, fmt.Errorf("no answer within %s: %w", s.cfg.Timing.Ask, context.DeadlineExceeded))
	defer cancel()
	id, err := s.n.Connect(ctx, addr)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, Connected{id})
}
