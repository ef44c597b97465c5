package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// Mount is a tree of routes that another package answers, behind the guard of
// this one: its Hosts, its Origin and its token, which may also come as the
// password of HTTP basic authentication. The cookie of the page does not open it.
type Mount struct {
	Prefix string // of paths, with a slash at its end
	Serve  http.Handler
	Open   bool                                                         // programs of this machine that are no browsers need no token
	Fail   func(w http.ResponseWriter, status int, code, detail string) // answers what the guard refuses
}

// mount gives the one that r is for, or nil.
func (s *server) mount(r *http.Request) *Mount {
	for i := range s.cfg.Mounts {
		if m := &s.cfg.Mounts[i]; strings.HasPrefix(r.URL.Path, m.Prefix) {
			return m
		}
	}
	return nil
}

// may reports whether r opens m.
func (s *server) may(m *Mount, r *http.Request) bool {
	return s.token(r) || s.password(r) || m.Open && local(r) && !browser(r)
}

// password reports whether r has the token as a password, of whatever user.
func (s *server) password(r *http.Request) bool {
	_, got, ok := r.BasicAuth()
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(s.cfg.Token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && ok && s.cfg.Token != ""
}

// local reports whether r comes from this machine.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// browser reports whether a browser made r: those say so wherever a page has one
// sent, and who sends one from elsewhere has no reason to.
func browser(r *http.Request) bool {
	for _, k := range []string{"Origin", "Referer", "Cookie", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"} {
		if len(r.Header.Values(k)) > 0 {
			return true
		}
	}
	return strings.HasPrefix(r.UserAgent(), "Mozilla/")
}
