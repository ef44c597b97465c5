package api

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// EntryLine is one entry of a listing. A listing that breaks off has an
// [ErrorLine] as its last.
type EntryLine struct {
	Type   string `json:"type"` // file, dir, symlink or unknown
	Name   string `json:"name"`
	CID    string `json:"cid"`
	Size   int64  `json:"size"` // -1: not known
	Target string `json:"target,omitempty"`
}

// NewEntry makes e ready to be written.
func NewEntry(e blocks.Entry) EntryLine {
	return EntryLine{Type: string(e.Kind), Name: e.Name, CID: text(e.CID), Size: e.Size, Target: e.Target}
}

// Parse undoes NewEntry.
func (l EntryLine) Parse() (blocks.Entry, error) {
	c, err := parse(l.CID)
	return blocks.Entry{Name: l.Name, CID: c, Kind: blocks.Kind(l.Type), Size: l.Size, Target: l.Target}, err
}

// LeafLine is one block of a file.
type LeafLine struct {
	CID    string `json:"cid"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

// NewLeaf makes l ready to be written.
func NewLeaf(l blocks.Leaf) LeafLine { return LeafLine{text(l.CID), l.Offset, l.Size} }

// Parse undoes NewLeaf.
func (l LeafLine) Parse() (blocks.Leaf, error) {
	c, err := parse(l.CID)
	return blocks.Leaf{CID: c, Offset: l.Offset, Size: l.Size}, err
}

// Stat is a blocks.Stat whose CID is written as a string.
type Stat struct {
	CID    string `json:"cid"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	Total  int64  `json:"total"`
	Target string `json:"target,omitempty"`
	Pinned bool   `json:"pinned"`
}

// NewStat makes s ready to be written.
func NewStat(s blocks.Stat) Stat {
	return Stat{CID: text(s.CID), Type: string(s.Kind), Size: s.Size, Total: s.Total, Target: s.Target, Pinned: s.Pinned}
}

// Parse undoes NewStat.
func (s Stat) Parse() (blocks.Stat, error) {
	c, err := parse(s.CID)
	return blocks.Stat{CID: c, Kind: blocks.Kind(s.Type), Size: s.Size, Total: s.Total, Target: s.Target, Pinned: s.Pinned}, err
}

// ls answers with the entries of a directory, one a line, as they are found. What
// fails before the first is a problem.
func (s *server) ls(w http.ResponseWriter, r *http.Request) { listing(s, w, r, s.n.List, NewEntry) }

// leaves answers with the blocks of a file, as ls does with the entries of a directory.
func (s *server) leaves(w http.ResponseWriter, r *http.Request) {
	listing(s, w, r, s.n.Leaves, NewLeaf)
}

// listing answers with what list yields of a path.
func listing[T, L any](s *server, w http.ResponseWriter, r *http.Request, list func(context.Context, string) iter.Seq2[T, error], line func(T) L) {
	p := query(r, "path")
	name := p.path()
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, moved, end := s.untilIdle(r)
	defer end()
	rc, enc := http.NewResponseController(w), json.NewEncoder(w)
	defer func() { _ = rc.SetWriteDeadline(time.Time{}) }()
	begun := false
	begin := func() {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
	}
	var flushed time.Time
	for e, err := range list(ctx, name) {
		if err != nil && !begun {
			s.fail(w, r, because(ctx, err))
			return
		}
		begin()
		due := time.Since(flushed) > s.cfg.Timing.Status
		if due && rc.SetWriteDeadline(time.Now().Add(s.cfg.Timing.GetIdle)) != nil {
			return
		}
		if err != nil {
			_ = enc.Encode(lineOf(because(ctx, err))) // a client that has left takes none
			return
		}
		if enc.Encode(line(e)) != nil {
			return
		}
		if due {
			moved()
			flushed = time.Now()
			_ = rc.Flush() // the next Encode tells
		}
	}
	begin()
}

func (s *server) stat(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path")
	name := p.path()
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timing.Ask)
	defer cancel()
	st, err := s.n.Stat(ctx, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.reply(w, http.StatusOK, NewStat(st))
}
