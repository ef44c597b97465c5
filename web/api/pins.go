package api

import (
	"context"
	"net/http"

	"github.com/cairn-network/cairn/blocks"
)

// Pin is a blocks.Pin whose CID is written as a string.
type Pin struct {
	CID string `json:"cid"`
	blocks.Pin
	Root *struct{} `json:"root,omitempty"` // hides the CID's own JSON
}

// NewPin makes p ready to be written.
func NewPin(p blocks.Pin) Pin { return Pin{CID: text(p.Root), Pin: p} }

// Parse undoes NewPin.
func (p Pin) Parse() (blocks.Pin, error) {
	var err error
	p.Pin.Root, err = parse(p.CID)
	return p.Pin, err
}

// PinLine is the end of a pin: everything is here, and leased if that was asked for.
type PinLine struct {
	Type string `json:"type"` // summary
	Pin
	Granted *Lease `json:"granted,omitempty"` // this peer's own, if it was asked for
}

func (s *server) pins(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	all := []Pin{}
	for p, err := range s.n.Pins(r.Context()) {
		if err != nil {
			s.fail(w, r, err)
			return
		}
		all = append(all, NewPin(p))
	}
	s.reply(w, http.StatusOK, all)
}

// pin brings everything under a path here. It answers in lines, as a put does; if the
// client leaves, what was fetched so far was merely read.
func (s *server) pin(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path", "name", "lease", "expires", "replicas")
	path, name, leased, o := p.path(), p.label("name"), p.flag("lease", false), p.lease()
	if o != (blocks.LeaseOptions{}) && !leased {
		p.bad("lease", "want it with expires and replicas")
	}
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	go s.untilStop(ctx, cancel)
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := newLines(w, http.NewResponseController(w), s.cfg.Timing)
	defer out.close()
	last := PinLine{Type: LineSummary}
	pin, err := s.n.Pin(ctx, path, name, out.tell)
	if err == nil && leased {
		var l blocks.LeaseInfo
		if l, err = s.n.Lease(ctx, path, o); err == nil {
			pin.Lease = l.ID
			own := NewLease(l)
			last.Granted = &own
		}
	}
	if err == nil {
		last.Pin = NewPin(pin)
		out.last(last)
		return
	}
	line := lineOf(because(ctx, err))
	if line.Code == CodeInternal {
		s.cfg.Log.Error("pin failed", "err", err, "request", w.Header().Get("X-Request-Id"))
	}
	out.last(line)
}

func (s *server) unpin(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path")
	path := p.path()
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timing.Ask)
	defer cancel()
	pin, ok, err := s.n.Unpin(ctx, path)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case !ok:
		s.fail(w, r, &refusal{http.StatusNotFound, CodeNotFound, text(pin.Root) + " is not pinned here", "the list of pins has what is"})
	default:
		s.reply(w, http.StatusOK, NewPin(pin))
	}
}
