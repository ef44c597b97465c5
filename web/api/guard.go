package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
)

// guard stands before every route, those that do not exist included.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w, begin := &answer{ResponseWriter: rw}, time.Now()
		rc, limit := http.NewResponseController(rw), time.Time{}
		if s.ofPage(r) { // whoever comes has it, and routes of ours know their own patience
			limit = begin.Add(s.cfg.Timing.GetIdle)
		}
		_ = rc.SetWriteDeadline(limit)                                                 // the connection has served other requests
		defer func() { _ = rc.SetWriteDeadline(time.Now().Add(s.cfg.Timing.Write)) }() // of what is sent of the answer when its handler has ended
		h := w.Header()
		h.Set("X-Request-Id", rand.Text()[:12])
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		h.Set("Cache-Control", "no-store")
		defer func() {
			s.caught(w, r, recover())
			s.cfg.Log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", w.status,
				"took", time.Since(begin), "request", h.Get("X-Request-Id"))
		}()
		if err := s.admit(r); err != nil {
			s.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// caught answers for a handler that panicked with v, and breaks the connection
// of one that had begun to answer or asked for that.
func (s *server) caught(w *answer, r *http.Request, v any) {
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	s.cfg.Caught(v)
	s.cfg.Log.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", v,
		"stack", string(debug.Stack()), "request", w.Header().Get("X-Request-Id"))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	s.fail(w, r, &refusal{http.StatusInternalServerError, CodeInternal, "a fault of this program; its log says more", ""})
}

// admit answers nil for a request that may pass.
func (s *server) admit(r *http.Request) error {
	if !s.hosts[hostname(r.Host)] {
		return &refusal{http.StatusForbidden, CodeForbidden, "this Host is not served here", "use localhost or 127.0.0.1, or allow the name in [api] hosts"}
	}
	if from := r.Header.Values("Origin"); len(from) > 1 || len(from) == 1 && !sameOrigin(from[0], r.Host) {
		return &refusal{http.StatusForbidden, CodeForbidden, "requests of other origins are not served", ""}
	}
	if m := s.mount(r); m != nil {
		if s.may(m, r) {
			return nil
		}
		return &refusal{http.StatusUnauthorized, CodeUnauthorized, "the token is missing or wrong", "send Authorization: Bearer with the token in the file api.token of this peer's home"}
	}
	if s.open(r) || s.ofPage(r) || s.token(r) || s.cookie(r) {
		return nil
	}
	if s.cfg.Token != "" && s.cfg.Door.knows(s.session(r)) {
		return &refusal{http.StatusForbidden, CodeForbidden, "the cookie counts only in requests of the page itself", "send Authorization: Bearer with the token"}
	}
	return &refusal{http.StatusUnauthorized, CodeUnauthorized, "the token is missing or wrong", "send Authorization: Bearer with the token in the file api.token of this peer's home"}
}

// open reports whether r needs no token.
func (s *server) open(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/api/v1/signin":
		return true
	case "/readyz":
		return !r.URL.Query().Has("verbose")
	case "/metrics", "/debug/metrics/prometheus":
		return s.cfg.OpenMetrics
	}
	return false
}

// token compares in constant time; the digests hide the length as well.
func (s *server) token(r *http.Request) bool {
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(s.cfg.Token))
	same := subtle.ConstantTimeCompare(a[:], b[:]) == 1
	return same && s.cfg.Token != "" && strings.EqualFold(scheme, "Bearer")
}

// allowed is the set of names a Host may have: the defence against a page whose
// name was made to resolve to this machine. web/gateway has the same few lines,
// as neither may import the other; a test of package web holds them together.
func allowed(more []string) map[string]bool {
	set := map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}
	for _, h := range more {
		if name := hostname(h); name != "" {
			set[name] = true
		}
	}
	return set
}

// hostname is a Host without its port, in lower case.
func hostname(host string) string { return strings.ToLower((&url.URL{Host: host}).Hostname()) }

// sameOrigin compares with the port: a page that the gateway serves on the same
// host is a stranger here.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, host)
}

// answer remembers whether, and with what, a request was answered.
type answer struct {
	http.ResponseWriter
	status int // 0: not yet
}

// Unwrap lets http.ResponseController through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}
