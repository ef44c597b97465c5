package api

import "net/http"

// healthz answers as long as this process does.
func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	s.reply(w, http.StatusOK, struct{}{})
}

// readyz answers 503 until the peer can be used. A peer with nobody else around
// is as ready as it will be.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	p := query(r, "verbose")
	verbose := p.flag("verbose", false)
	if p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	id := s.n.ID()
	out, status := Ready{Ready: id.State == "alone" || id.State == "ready"}, http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
	}
	if verbose {
		out.State, out.Peers = id.State, &id.Peers
	}
	s.reply(w, status, out)
}

func (s *server) metrics(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Metrics == nil {
		s.nothingHere(w, r)
		return
	}
	s.cfg.Metrics.ServeHTTP(w, r)
}
