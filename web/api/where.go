package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/cairn-network/cairn/blocks"
)

// Where is a blocks.Where whose CID is written as a string, and its sentence.
type Where struct {
	CID      string  `json:"cid"`
	Sentence string  `json:"sentence"`
	Key      string  `json:"key"`    // of the block: its place on the ring of keys, in hexadecimal
	Places   []Place `json:"places"` // of those who were asked, in the order of the answers
	blocks.Where
}

// NewWhere makes w ready to be written.
func NewWhere(w blocks.Where) Where {
	out := Where{CID: text(w.CID), Sentence: w.Sentence(), Where: w, Places: []Place{}}
	if w.CID.Defined() {
		out.Key = keyText(w.CID.Hash())
	}
	for _, a := range w.Answers {
		out.Places = append(out.Places, Place{ID: a.Peer.String(), Key: keyText([]byte(a.Peer))})
	}
	out.Answers = list(w.Answers)
	return out
}

// Parse undoes NewWhere.
func (w Where) Parse() (blocks.Where, error) {
	var err error
	w.Where.CID, err = parse(w.CID)
	return w.Where, err
}

// Why is a blocks.Why whose CIDs are written as strings.
type Why struct {
	CID string `json:"cid"`
	blocks.Why
	Worst  *Where  `json:"worst,omitempty"`
	Health *Health `json:"health,omitempty"`
}

// NewWhy makes w ready to be written.
func NewWhy(w blocks.Why) Why {
	out := Why{CID: text(w.Root), Why: w}
	if w.Worst != nil {
		worst := NewWhere(*w.Worst)
		out.Worst = &worst
	}
	if w.Health != nil {
		h := NewHealth(*w.Health)
		out.Health = &h
	}
	return out
}

// Parse undoes NewWhy.
func (w Why) Parse() (out blocks.Why, err error) {
	out = w.Why
	if out.Root, err = parse(w.CID); err != nil {
		return out, err
	}
	if w.Worst != nil {
		worst, err := w.Worst.Parse()
		if err != nil {
			return out, err
		}
		out.Worst = &worst
	}
	if w.Health != nil {
		h, err := w.Health.Parse()
		if err != nil {
			return out, err
		}
		out.Health = &h
	}
	return out, nil
}

// RestoredLine is the end of a repair.
type RestoredLine struct {
	Type string `json:"type"` // summary
	CID  string `json:"cid"`
	blocks.Restored
}

// where answers what those said who should have a block.
func (s *server) where(w http.ResponseWriter, r *http.Request) {
	s.asked(w, r, func(ctx context.Context, path string) (any, error) {
		at, err := s.n.Where(ctx, path)
		return NewWhere(at), err
	})
}

// why answers why something is short of copies, or cannot be read.
func (s *server) why(w http.ResponseWriter, r *http.Request) {
	s.asked(w, r, func(ctx context.Context, path string) (any, error) {
		why, err := s.n.Why(ctx, path)
		return NewWhy(why), err
	})
}

// asked answers what ask finds out of the holders of a path.
func (s *server) asked(w http.ResponseWriter, r *http.Request, ask func(ctx context.Context, path string) (any, error)) {
	p := query(r, "path")
	path := p.path()
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, cancel := s.patient(r.Context())
	defer cancel()
	v, err := ask(ctx, path)
	if err != nil {
		s.fail(w, r, because(ctx, err))
		return
	}
	s.reply(w, http.StatusOK, v)
}

// patient bounds the time in which holders have to answer.
func (s *server) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := s.cfg.Timing.Ask
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("the holders did not answer within %s: %w", limit, context.DeadlineExceeded))
}

// repair gives missing copies now, and answers in lines.
func (s *server) repair(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path")
	path := p.path()
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	s.task(w, r, "repair", func(ctx context.Context, tell func(blocks.Done)) (any, error) {
		out, err := s.n.Restore(ctx, path, tell)
		return RestoredLine{LineSummary, text(out.Root), out}, err
	})
}
