package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// Lab is what a peer of a testnet can be asked besides; no other peer has its routes.
type Lab interface {
	// Link says how the peer's line is.
	Link() Link
	// SetLink gives the line latency, jitter and rate; zero takes each away.
	SetLink(Link) error
	// Flow sends bytes to a connected peer over one bare stream, and says how long it
	// took until that had checked them.
	Flow(ctx context.Context, to string, bytes int64) (time.Duration, error)
}

// Link is the access line of a peer of a testnet.
type Link struct {
	Latency  blocks.Seconds `json:"latency"`  // added to what the peer sends
	Jitter   blocks.Seconds `json:"jitter"`   // by which the latency differs, either way
	Rate     int64          `json:"rate"`     // bytes a second in each direction; 0 is no limit
	Received int64          `json:"received"` // bytes on its TCP connections since it started
	Sent     int64          `json:"sent"`
}

// Slow reports whether anything is set.
func (l Link) Slow() bool { return l.Latency != 0 || l.Jitter != 0 || l.Rate != 0 }

// Flow is a bare stream that was measured.
type Flow struct {
	Bytes   int64          `json:"bytes"`
	Seconds blocks.Seconds `json:"seconds"`
}

// maxDelay, maxRate and maxFlow are those of the line.
const (
	maxDelay = 10 * time.Second
	maxRate  = 1 << 30 // bytes a second
	maxFlow  = 1 << 30 // bytes: it must end before the answer is due
)

// labRoutes are those of a testnet.
func (s *server) labRoutes() []route {
	if s.cfg.Lab == nil {
		return nil
	}
	return []route{
		{"GET", "/api/v1/testnet/link", s.link},
		{"PUT", "/api/v1/testnet/link", s.setLink},
		{"POST", "/api/v1/testnet/flow", s.flow},
	}
}

func (s *server) link(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	s.reply(w, http.StatusOK, s.cfg.Lab.Link())
}

func (s *server) setLink(w http.ResponseWriter, r *http.Request) {
	p := query(r, "latency", "jitter", "rate")
	want := Link{
		Latency: blocks.Seconds(p.duration("latency", maxDelay)),
		Jitter:  blocks.Seconds(p.duration("jitter", maxDelay)),
		Rate:    int64(p.number("rate", 1, maxRate)),
	}
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	if err := s.cfg.Lab.SetLink(want); err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, s.cfg.Lab.Link())
}

func (s *server) flow(w http.ResponseWriter, r *http.Request) {
	p := query(r, "to", "bytes")
	to, n := p.q.Get("to"), int64(p.number("bytes", 1, maxFlow))
	if to == "" {
		p.bad("to", "missing: want the id of a connected peer")
	}
	if n == 0 {
		p.bad("bytes", fmt.Sprintf("missing: want 1 to %d", maxFlow))
	}
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.cfg.Timing.Ask, fmt.Errorf("no end within %s: %w", s.cfg.Timing.Ask, context.DeadlineExceeded))
	defer cancel()
	took, err := s.cfg.Lab.Flow(ctx, to, n)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, Flow{n, blocks.Seconds(took)})
}
