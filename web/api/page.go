package api

import (
	"net/http"
	"strings"
)

// ofPage reports whether r is for the page, which holds no secret: whoever may
// reach this port may have it, and it can do nothing before it has signed in.
func (s *server) ofPage(r *http.Request) bool {
	return s.cfg.Page != nil && (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/ui/"))
}

// elsewhere serves what is on no route: the page, or that nothing is here.
func (s *server) elsewhere(w http.ResponseWriter, r *http.Request) {
	if s.ofPage(r) {
		s.cfg.Page.ServeHTTP(w, r) // sets its own policy over the guard's
		return
	}
	s.nothingHere(w, r)
}
