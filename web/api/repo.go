package api

import (
	"context"
	"net/http"

	"github.com/cairn-network/cairn/blocks"
)

// Repo is what the API needs of the place where a peer keeps its blocks.
type Repo interface {
	// Room answers blocks.ErrFull when there is no room for size more bytes; size 0 is
	// not known.
	Room(ctx context.Context, size int64) error
	// RepoStat says what is kept, and what that takes.
	RepoStat(ctx context.Context) (blocks.RepoStat, error)
	// RepoVerify hashes every block, and gets those anew whose bytes are wrong.
	RepoVerify(ctx context.Context, tell func(blocks.Done)) (blocks.Verified, error)
	// RepoGC forgets what nobody wants here, until want bytes are free; 0 is all of it.
	RepoGC(ctx context.Context, want int64, tell func(blocks.Done)) (blocks.Swept, error)
	// RepoCompact gives the disk the space back that forgotten blocks take.
	RepoCompact(ctx context.Context, tell func(blocks.Done)) (blocks.Compacted, error)
}

// TaskLine is how far a task on the store has got.
type TaskLine struct {
	Type string `json:"type"` // status
	blocks.Done
}

// VerifiedLine is the end of a check of every block.
type VerifiedLine struct {
	Type string `json:"type"` // summary
	blocks.Verified
}

// SweptLine is the end of a collection.
type SweptLine struct {
	Type string `json:"type"` // summary
	blocks.Swept
}

// CompactedLine is the end of a compaction.
type CompactedLine struct {
	Type string `json:"type"` // summary
	blocks.Compacted
}

func (s *server) repoStat(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timing.Ask)
	defer cancel()
	stat, err := s.n.RepoStat(ctx)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, stat)
}

func (s *server) repoVerify(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	s.task(w, r, "verify", func(ctx context.Context, tell func(blocks.Done)) (any, error) {
		out, err := s.n.RepoVerify(ctx, tell)
		return VerifiedLine{LineSummary, out}, err
	})
}

func (s *server) repoGC(w http.ResponseWriter, r *http.Request) {
	p := query(r, "want")
	want := p.bytes("want")
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	s.task(w, r, "gc", func(ctx context.Context, tell func(blocks.Done)) (any, error) {
		out, err := s.n.RepoGC(ctx, want, tell)
		return SweptLine{LineSummary, out}, err
	})
}

func (s *server) repoCompact(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	s.task(w, r, "compact", func(ctx context.Context, tell func(blocks.Done)) (any, error) {
		out, err := s.n.RepoCompact(ctx, tell)
		return CompactedLine{LineSummary, out}, err
	})
}

// task answers with the lines of do, which ends early if the client leaves.
func (s *server) task(w http.ResponseWriter, r *http.Request, what string, do func(context.Context, func(blocks.Done)) (summary any, err error)) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	go s.untilStop(ctx, cancel)
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := newLines(w, http.NewResponseController(w), s.cfg.Timing)
	defer out.close()
	out.task(blocks.Done{})
	last, err := do(ctx, out.task)
	if err == nil {
		out.last(last)
		return
	}
	line := lineOf(because(ctx, err))
	if line.Code == CodeInternal {
		s.cfg.Log.Error(what+" failed", "err", err, "request", w.Header().Get("X-Request-Id"))
	}
	out.last(line)
}
