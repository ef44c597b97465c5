package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// maxQuery is the longest query that is taken, in bytes.
const maxQuery = 64 << 10

// call is one command that is being answered.
type call struct {
	context.Context // ends with the client, after the option timeout, or when nothing moves
	w               http.ResponseWriter
	rc              *http.ResponseController
	r               *http.Request
	s               *Server
	args            []string
	opts            url.Values
	moved           func() // tells that something did move

	begun bool // the answer
	bytes bool // it is bytes, not lines
}

// begin reads what c is asked for. end must be called in any case.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) (c *call, end func(), err error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	c = &call{Context: ctx, w: w, rc: http.NewResponseController(w), r: r, s: s}
	stuck := time.AfterFunc(s.cfg.Idle, func() {
		cancel(fmt.Errorf("nothing came for %s: %w", s.cfg.Idle, context.DeadlineExceeded))
	})
	c.moved = func() { stuck.Reset(s.cfg.Idle) }
	end = func() {
		stuck.Stop()
		cancel(nil)
		_ = c.rc.SetWriteDeadline(time.Time{}) // the connection may serve another request
	}
	if len(r.URL.RawQuery) > maxQuery {
		return c, end, refuse("the query has %d bytes, limit %d", len(r.URL.RawQuery), maxQuery)
	}
	if c.opts, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return c, end, refuse("the query cannot be read: %s", err)
	}
	c.args = c.opts["arg"]
	if text := c.opts.Get("timeout"); text != "" {
		limit, err := time.ParseDuration(text)
		if err != nil || limit <= 0 {
			return c, end, refuse("timeout %q: want a duration such as 30s", text)
		}
		over := time.AfterFunc(limit, func() {
			cancel(fmt.Errorf("not done within %s: %w", limit, context.DeadlineExceeded))
		})
		stop := end
		end = func() { over.Stop(); stop() }
	}
	return c, end, nil
}

// patient takes the limit away of a wait in which nothing need move: a task that
// tells of its progress, or a stream that goes on.
func (c *call) patient() (done func()) {
	t := time.NewTicker(c.s.cfg.Idle / 4)
	end := make(chan struct{})
	go func() { // ends with done
		for {
			select {
			case <-t.C:
				c.moved()
			case <-end:
				return
			}
		}
	}()
	return func() { t.Stop(); close(end) }
}

// refusal is an error of who asked.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

// refuse says what is wrong with a request.
func refuse(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// lacking says that this peer does not do what was asked for.
func lacking(what string) error { return &refusal{http.StatusNotImplemented, what} }

// arg gives the only argument.
func (c *call) arg(what string) (string, error) {
	if len(c.args) != 1 || c.args[0] == "" {
		return "", refuse("%d arguments: want one, %s", len(c.args), what)
	}
	return c.args[0], nil
}

// some gives the arguments, of which there must be one.
func (c *call) some(what string) ([]string, error) {
	if len(c.args) == 0 || c.args[0] == "" {
		return nil, refuse("an argument is missing: %s", what)
	}
	return c.args, nil
}

// flag reads an option that is true or false.
func (c *call) flag(name string, otherwise bool) (bool, error) {
	if !c.opts.Has(name) || c.opts.Get(name) == "" && !otherwise {
		return otherwise, nil
	}
	v, err := strconv.ParseBool(c.opts.Get(name))
	if err != nil {
		return false, refuse("%s %q: want true or false", name, c.opts.Get(name))
	}
	return v, nil
}

// number reads an option that is a whole number of at least least.
func (c *call) number(name string, otherwise, least int64) (int64, error) {
	if c.opts.Get(name) == "" {
		return otherwise, nil
	}
	v, err := strconv.ParseInt(c.opts.Get(name), 10, 64)
	if err != nil || v < least {
		return 0, refuse("%s %q: want a number of at least %d", name, c.opts.Get(name), least)
	}
	return v, nil
}

// head says how the answer will be read.
func (c *call) head(stream bool) {
	if c.begun {
		return
	}
	c.begun, c.bytes = true, stream
	h := c.w.Header()
	h.Set("Trailer", "X-Stream-Error")
	if stream {
		h.Set("X-Stream-Output", "1")
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "text/plain")
		}
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Chunked-Output", "1")
}

// line answers with v, one of many.
func (c *call) line(v any) error {
	c.moved()
	return c.still(v)
}

// still answers with v, one of many, which does not mean that anything has moved.
func (c *call) still(v any) error {
	c.head(false)
	if err := c.rc.SetWriteDeadline(time.Now().Add(c.s.cfg.Idle)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := json.NewEncoder(c.w).Encode(v); err != nil {
		return err
	}
	if err := c.rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// reply answers with v, and nothing else.
func (c *call) reply(v any) error {
	c.begun = true
	c.w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(c.w).Encode(v)
}

// Write answers with bytes. It is a method so that a call is an io.Writer.
func (c *call) Write(p []byte) (int, error) {
	c.head(true)
	c.moved()
	if err := c.rc.SetWriteDeadline(time.Now().Add(c.s.cfg.Idle)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return c.w.Write(p)
}

// finish answers with err, if nothing was answered; says it after lines; and
// breaks off what was bytes.
func (c *call) finish(err error) {
	if err == nil {
		return
	}
	if cause := context.Cause(c); cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	switch {
	case !c.begun:
		h := c.w.Header()
		for _, k := range []string{"Trailer", "X-Stream-Output", "X-Chunked-Output", "X-Content-Length"} {
			h.Del(k)
		}
		Fail(c.w, statusOf(err), err.Error())
	case c.bytes:
		c.s.cfg.Log.Debug("answer broken off", "path", c.r.URL.Path, "err", err)
		_ = c.rc.Flush() // so that the client sees an answer that breaks off, not none
		panic(http.ErrAbortHandler)
	default:
		c.w.Header().Set("X-Stream-Error", err.Error())
	}
}

// statusOf is 500 for whatever fails, as clients expect of Kubo, and 400 for what
// was asked wrongly.
func statusOf(err error) int {
	var (
		refused *refusal
		path    *blocks.PathError
		name    *blocks.NameError
	)
	switch {
	case errors.As(err, &refused):
		return refused.status
	case errors.As(err, &path), errors.As(err, &name):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// Error is how Kubo says what went wrong.
type Error struct {
	Message string
	Code    int // 0 is a failure, 1 a wrong request, 4 not implemented, 6 forbidden
	Type    string
}

// Fail answers with text as Kubo does.
func Fail(w http.ResponseWriter, status int, text string) {
	code := 0
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed:
		code = 1
	case http.StatusNotImplemented:
		code = 4
	case http.StatusUnauthorized, http.StatusForbidden:
		code = 6
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Error{text, code, "error"}) // a client that has left takes no answer
}

// body is what the client sends, each piece of which must come in time.
func (c *call) body() io.Reader { return &body{c} }

type body struct{ c *call }

func (b *body) Read(p []byte) (int, error) {
	if err := b.c.rc.SetReadDeadline(time.Now().Add(b.c.s.cfg.Idle)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	b.c.moved()
	n, err := b.c.r.Body.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		_ = b.c.rc.SetReadDeadline(time.Time{}) // else the connection's own watch would end by it
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("no byte came for %s: %w", b.c.s.cfg.Idle, err)
	}
	return n, err
}
