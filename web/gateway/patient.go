package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
)

// A client that takes less than slice bytes in writeTime, which is 1 KiB/s, is waited for no more.
const (
	writeTime = 32 * time.Second
	slice     = 32 << 10
)

// errStalled ends an answer for which no next byte was found in time.
var errStalled = errors.New("gateway: no next byte in time")

// patient is a ResponseWriter whose patience has an end on both sides: with a
// client that does not read, and with a search that brings nothing. boxo's own
// limit of the latter writes a sentence into the body, where it is taken for
// content; this one lets nothing more through, and the answer is broken off.
type patient struct {
	http.ResponseWriter
	rc     *http.ResponseController
	idle   time.Duration
	cancel context.CancelFunc // ends the search
	req    *request
	asked  *http.Request
	name   string // what it is to be saved as; "" is what boxo says

	mu      sync.Mutex
	timer   *time.Timer // runs while nothing is written
	stalled bool        // guarded by mu: the timer has fired
	began   bool        // guarded by mu: a status was sent
	said    int         // guarded by mu: that status
	twice   bool        // guarded by mu: another error was said after it, which is one
	broken  bool        // guarded by mu: a failure came after that
	silent  bool        // guarded by mu: the last that was said is 500, without a word: boxo has caught a panic
	first   func()      // told of the first byte of content; nil: it has been told
	held    []byte      // guarded by mu: the head of an archive, until there is more of it
}

// hold is how much of an archive is made before its first byte is sent: what is
// wrong with it near its head gets a status, not a broken connection.
const hold = 4 << 10 // bytes

// serve answers r with next. It panics with [http.ErrAbortHandler] when the
// answer had begun and cannot be ended: the client must see that it is not whole.
func serve(next http.Handler, w http.ResponseWriter, r *http.Request, root cid.Cid, name string, cfg Config) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	began := time.Now()
	req := &request{raw: asIs(r), local: localOnly(r), method: r.Method, slash: strings.HasSuffix(r.URL.Path, "/"), path: r.URL.Path, who: cfg.Asked, after: r.URL.Query().Get("after"), left: cfg.MaxBlocks}
	p := &patient{ResponseWriter: w, rc: http.NewResponseController(w), idle: cfg.Retrieval, cancel: cancel, req: req, asked: r, name: name,
		first: func() { cfg.FirstByte(time.Since(began)) }}
	p.timer = time.AfterFunc(p.idle, p.stall)
	next.ServeHTTP(p, r.WithContext(withRequest(below(ctx, root), req)))
	if p.faulty() {
		cfg.Caught("the gateway's handler; its stack is on standard error")
	}
	p.end()
}

// nameIt says what the answer is to be saved as.
func (p *patient) nameIt() {
	how := "inline"
	if strings.HasPrefix(p.Header().Get("Content-Disposition"), "attachment") || p.asked.URL.Query().Get("download") == "true" {
		how = "attachment"
	}
	plain := strings.Map(func(r rune) rune {
		if r > 0x7e {
			return '_'
		}
		return r
	}, p.name)
	p.Header().Set("Content-Disposition",
		fmt.Sprintf(`%s; filename="%s"; filename*=UTF-8''%s`, how, url.PathEscape(plain), url.PathEscape(p.name)))
}

func (p *patient) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
	p.cancel()
}

// faulty reports whether boxo has caught a panic of its own.
func (p *patient) faulty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent
}

func (p *patient) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer.Stop()
	if p.stalled && !p.began {
		p.lateLocked()
	}
	if len(p.held) > 0 {
		p.unholdLocked()
	}
	if p.began && (p.stalled || p.broken || p.twice && p.silent || p.failedLocked()) {
		panic(http.ErrAbortHandler)
	}
}

// archive reports whether the head of the answer is held back. That of HEAD has no body.
func (p *patient) archive() bool {
	return p.Header().Get("Content-Type") == "application/x-tar" && p.req.method == http.MethodGet
}

// unholdLocked sends what was held back, or says why there is no more of it.
func (p *patient) unholdLocked() {
	data := p.held
	p.held = nil
	if why := p.Header().Get("X-Stream-Error"); why != "" && !p.began {
		p.Header().Del("X-Stream-Error")
		f := p.req.failure()
		if f == nil {
			f = &failure{status: http.StatusUnprocessableEntity, why: why, asked: -1}
		}
		p.sayLocked(f)
		return
	}
	_, _ = p.sendLocked(data) // a client that left is no concern
}

// failedLocked reports whether boxo has said that the stream it was writing is
// not whole. It says so in a header that nobody is sent any more.
func (p *patient) failedLocked() bool { return p.Header().Get("X-Stream-Error") != "" }

// lateLocked answers that nothing was found in time.
func (p *patient) lateLocked() {
	p.stalled = false
	p.sayLocked(p.req.late())
}

// sayLocked answers why there is no answer.
func (p *patient) sayLocked(f *failure) {
	p.began, p.said, p.first, p.silent = true, f.status, nil, false
	_ = p.rc.SetWriteDeadline(time.Now().Add(writeTime)) // a client that left gets no answer
	say(p.ResponseWriter, p.asked, f)
	p.ResponseWriter = closed{p.ResponseWriter}
}

func (p *patient) WriteHeader(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = status == http.StatusInternalServerError // an error that boxo answers has a body
	if status >= 300 {
		p.first = nil
	}
	switch {
	case p.began && p.said >= 400 && status >= 400:
		// The error of a conditional request is said twice by boxo: the first one is the answer.
		p.twice, p.ResponseWriter = true, closed{p.ResponseWriter}
		return
	case p.began:
		p.broken = p.broken || status >= 400 // boxo caught a panic of its own
		return
	case p.stalled:
		p.lateLocked()
		return
	case status >= 400 && p.req.failure() != nil && (status != http.StatusPreconditionFailed || p.req.failure().status == http.StatusGone):
		p.sayLocked(p.req.failure())
		return
	case status == http.StatusOK && p.archive():
		if p.name != "" {
			p.nameIt()
		}
		return // with its first byte
	case status >= 400 && p.Header().Get("Content-Length") == "": // with a length it is a site's own page
		forget(p.Header())
	}
	if p.name != "" && status/100 == 2 {
		p.nameIt()
	}
	if last := p.req.next(); last != "" && status == http.StatusOK {
		p.Header().Set("Link", "<?after="+url.QueryEscape(last)+`>; rel="next"`)
	}
	p.began, p.said = status >= 200, status
	p.ResponseWriter.WriteHeader(status)
}

func (p *patient) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = false
	if p.stalled && !p.began {
		p.lateLocked()
	}
	if p.stalled || p.broken || p.began && p.failedLocked() {
		return 0, errStalled
	}
	if !p.began && p.archive() {
		if len(p.held)+len(b) <= hold {
			p.held = append(p.held, b...)
			return len(b), nil
		}
		data := p.held
		p.held = nil
		if _, err := p.sendLocked(data); err != nil {
			return 0, err
		}
	}
	if last := p.req.next(); last != "" {
		if _, err := p.sendLocked(withNext(b, last)); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return p.sendLocked(b)
}

// sendLocked writes content to the client, who is waited for a while: for each slice of it anew.
func (p *patient) sendLocked(b []byte) (n int, err error) {
	p.began = true
	if p.first != nil && len(b) > 0 {
		p.first()
		p.first = nil
	}
	p.timer.Stop() // from here it is the client who is waited for
	defer p.timer.Reset(p.idle)
	for {
		some := b[n:min(n+slice, len(b))]
		if err := p.rc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return n, err
		}
		k, err := p.ResponseWriter.Write(some)
		if n += k; err != nil || n == len(b) {
			return n, err
		}
	}
}

// Flush is what boxo looks for.
func (p *patient) Flush() { _ = p.rc.Flush() }

// closed takes nothing more: its answer is whole.
type closed struct{ http.ResponseWriter }

func (closed) WriteHeader(int)             {}
func (closed) Write(b []byte) (int, error) { return len(b), nil }
