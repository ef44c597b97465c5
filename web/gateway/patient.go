package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// writeTime is how long a client may take none of what is written to it.
const writeTime = 60 * time.Second

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

	mu      sync.Mutex
	timer   *time.Timer // runs while nothing is written
	stalled bool        // guarded by mu: the timer has fired
	began   bool        // guarded by mu: a status was sent
	broken  bool        // guarded by mu: a failure came after that
	silent  bool        // guarded by mu: the last that was said is 500, without a word: boxo has caught a panic
	first   func()      // told of the first byte of content; nil: it has been told
}

// serve answers r with next. It panics with [http.ErrAbortHandler] when the
// answer had begun and cannot be ended: the client must see that it is not whole.
func serve(next http.Handler, w http.ResponseWriter, r *http.Request, cfg Config) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	began := time.Now()
	p := &patient{ResponseWriter: w, rc: http.NewResponseController(w), idle: cfg.Retrieval, cancel: cancel,
		first: func() { cfg.FirstByte(time.Since(began)) }}
	p.timer = time.AfterFunc(p.idle, p.stall)
	next.ServeHTTP(p, r.WithContext(below(ctx, r)))
	if p.faulty() {
		cfg.Caught("the gateway's handler; its stack is on standard error")
	}
	p.end()
	_ = p.rc.SetWriteDeadline(time.Time{}) // the connection may serve another request
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
	if p.began && (p.stalled || p.broken || p.failedLocked()) {
		panic(http.ErrAbortHandler)
	}
}

// failedLocked reports whether boxo has said that the stream it was writing is
// not whole. It says so in a header that nobody is sent any more.
func (p *patient) failedLocked() bool { return p.Header().Get("X-Stream-Error") != "" }

// lateLocked answers that nothing was found in time.
func (p *patient) lateLocked() {
	for _, k := range []string{"Etag", "Cache-Control", "Content-Length", "Content-Disposition", "Last-Modified"} {
		p.Header().Del(k) // those of what was not found
	}
	p.stalled, p.began, p.first = false, true, nil
	_ = p.rc.SetWriteDeadline(time.Now().Add(writeTime)) // a client that left gets no answer
	http.Error(p.ResponseWriter, "not found in time: nobody who was asked has sent it", http.StatusGatewayTimeout)
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
	case p.began:
		p.broken = p.broken || status >= 400 // boxo caught a panic of its own
		return
	case p.stalled:
		p.lateLocked()
		return
	}
	p.began = status >= 200
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
	p.began = true
	if p.first != nil && len(b) > 0 {
		p.first()
		p.first = nil
	}
	p.timer.Stop() // from here it is the client who is waited for
	defer p.timer.Reset(p.idle)
	if err := p.rc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}

// Flush is what boxo looks for.
func (p *patient) Flush() { _ = p.rc.Flush() }

// closed takes nothing more: its answer is whole.
type closed struct{ http.ResponseWriter }

func (closed) WriteHeader(int)             {}
func (closed) Write(b []byte) (int, error) { return len(b), nil }
