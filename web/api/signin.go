package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The lives of what opens the page, and how many there may be at once.
const (
	CodeLife    = 10 * time.Minute
	sessionLife = 7 * 24 * time.Hour
	maxCodes    = 64
	maxSessions = 64
)

// Door lets browsers in. A code opens it once; what it gives for it is a
// session, which a browser keeps as a cookie that no script can read. Both are
// kept in memory only, as digests: after a restart everybody signs in again. The
// zero value is ready, and may be used by many goroutines.
type Door struct {
	mu       sync.Mutex
	codes    ends
	sessions ends
}

// ends is when what has this digest ends.
type ends map[[sha256.Size]byte]time.Time

// NewCode makes a code for one sign-in within [CodeLife].
func (d *Door) NewCode() (code string, expires time.Time) {
	return d.issue(&d.codes, maxCodes, CodeLife)
}

// SigninPath is where the page takes code. It is behind a #, which no browser
// sends: no log and no Referer has it.
func SigninPath(code string) string { return "/#/signin/" + code }

// enter gives a session for a code, which opens nothing again.
func (d *Door) enter(code string) (session string, expires time.Time, ok bool) {
	d.mu.Lock()
	key := sha256.Sum256([]byte(code))
	end, ok := d.codes[key]
	delete(d.codes, key)
	d.mu.Unlock()
	if !ok || !time.Now().Before(end) {
		return "", time.Time{}, false
	}
	session, expires = d.issue(&d.sessions, maxSessions, sessionLife)
	return session, expires, true
}

// knows reports whether session is open. Only digests are compared: how long
// that takes tells nothing about what would be right.
func (d *Door) knows(session string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.sessions[sha256.Sum256([]byte(session))])
}

// leave ends session.
func (d *Door) leave(session string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, sha256.Sum256([]byte(session)))
}

// issue makes a secret; when there are limit of its kind, the one that ends first goes.
func (d *Door) issue(in *ends, limit int, life time.Duration) (secret string, end time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	secret, end = rand.Text(), time.Now().Add(life)
	if *in == nil {
		*in = ends{}
	}
	maps.DeleteFunc(*in, func(_ [sha256.Size]byte, t time.Time) bool { return time.Now().After(t) })
	if len(*in) >= limit {
		delete(*in, slices.MinFunc(slices.Collect(maps.Keys(*in)), func(a, b [sha256.Size]byte) int { return (*in)[a].Compare((*in)[b]) }))
	}
	(*in)[sha256.Sum256([]byte(secret))] = end
	return secret, end
}

// cookieName differs between peers: a browser sends the cookies of one host to
// all of its ports, and several peers may run there.
func (s *server) cookieName() string {
	sum := sha256.Sum256([]byte("cookie of " + s.cfg.Token))
	return "cairn-" + hex.EncodeToString(sum[:4])
}

// session is the cookie of r, "" if it has none.
func (s *server) session(r *http.Request) string {
	c, err := r.Cookie(s.cookieName())
	if err != nil {
		return ""
	}
	return c.Value
}

// cookie reports whether r is of this page and its browser has signed in. A page
// on another port of this host, as the gateway's, is of the same site, so that
// its requests carry the cookie too: what changes something must say that it
// comes from here, and what a browser says comes from elsewhere is not heard.
func (s *server) cookie(r *http.Request) bool {
	if s.cfg.Token == "" || !s.cfg.Door.knows(s.session(r)) {
		return false
	}
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" {
		return false
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	return safe || sameOrigin(r.Header.Get("Origin"), r.Host)
}

// SigninCode opens the page once: its path belongs behind the URL of the API.
type SigninCode struct {
	Code    string    `json:"code"`
	Path    string    `json:"path"`
	Expires time.Time `json:"expires"`
}

// signinCode makes a code.
func (s *server) signinCode(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	code, expires := s.cfg.Door.NewCode()
	s.reply(w, http.StatusOK, SigninCode{code, SigninPath(code), expires.UTC()})
}

// Signin is what a browser gives for a session.
type Signin struct {
	Code string `json:"code"`
}

// signin gives a cookie for a code. It is open to all who have one; the guard
// has seen to it that no page of another origin asks.
func (s *server) signin(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(s.cfg.Timing.Write)) // a stranger may be asking; without a connection there is none to hold
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }()     // the connection may serve another request
	var in Signin
	if err := json.NewDecoder(io.LimitReader(r.Body, 4<<10)).Decode(&in); err != nil {
		s.fail(w, r, usage("the sign-in cannot be read: "+err.Error(), `send {"code":"..."}`))
		return
	}
	session, expires, ok := s.cfg.Door.enter(in.Code)
	if !ok {
		s.fail(w, r, &refusal{http.StatusUnauthorized, CodeUnauthorized, "this code has been used, has expired or never was", "cairn ui gives a new one"})
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(), Value: session, Path: "/api/", Expires: expires, MaxAge: int(sessionLife.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
	s.reply(w, http.StatusOK, struct{}{})
}

// signout ends the session of the browser that asks.
func (s *server) signout(w http.ResponseWriter, r *http.Request) {
	s.cfg.Door.leave(s.session(r))
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Path: "/api/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	s.reply(w, http.StatusOK, struct{}{})
}
