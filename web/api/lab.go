package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
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
	// Kept says which of cs this peer has and keeps for somebody, as its own disk shows.
	Kept(ctx context.Context, cs []cid.Cid) ([]bool, error)
	// Lose deletes blocks and says nothing of it, as a bad disk does: the peer goes on
	// telling others that it keeps them.
	Lose(ctx context.Context, cs []cid.Cid) error
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

// maxLabBlocks bounds the blocks of one question about a peer's own disk.
const maxLabBlocks = 256

// labRoutes are those of a testnet.
func (s *server) labRoutes() []route {
	if s.cfg.Lab == nil {
		return nil
	}
	return []route{
		{"GET", "/api/v1/testnet/link", s.link},
		{"PUT", "/api/v1/testnet/link", s.setLink},
		{"POST", "/api/v1/testnet/flow", s.flow},
		{"GET", "/api/v1/testnet/blocks", s.labBlocks},
		{"DELETE", "/api/v1/testnet/blocks", s.labBlocks},
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
		Latency: blocks.Seconds(p.duration("latency", 0, maxDelay)),
		Jitter:  blocks.Seconds(p.duration("jitter", 0, maxDelay)),
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

// Kept is what a peer of a testnet has of the blocks it was asked for, in their order.
type Kept struct {
	Kept []bool `json:"kept"` // it has the right bytes, under a lease; before they were deleted
}

// labBlocks says what this peer's disk has, and after a DELETE had.
func (s *server) labBlocks(w http.ResponseWriter, r *http.Request) {
	p := query(r, "cids")
	var cs []cid.Cid
	for text := range strings.SplitSeq(p.q.Get("cids"), ",") {
		c, err := cid.Decode(text)
		if err != nil {
			p.bad("cids", "want CIDs with a comma between two")
			break
		}
		cs = append(cs, c)
	}
	if len(cs) > maxLabBlocks {
		p.bad("cids", fmt.Sprintf("%d of them, limit %d", len(cs), maxLabBlocks))
	}
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	kept, err := s.cfg.Lab.Kept(r.Context(), cs)
	if err == nil && r.Method == http.MethodDelete {
		err = s.cfg.Lab.Lose(r.Context(), cs)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, Kept{kept})
}
