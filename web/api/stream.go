package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"time"
)

// stream is an answer that goes on until the client leaves: server-sent events, or NDJSON
// for those who accept it, where an empty line is the sign of life. It writes whole events,
// from any goroutine.
type stream struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	limit time.Duration // for the client to take an event
	left  func()        // called when it takes no more
	event func(event, id string, v any) []byte
	alive string
	mu    sync.Mutex // of w
}

// newStream begins the answer to r. The context ends with the client; end must be called,
// when nobody writes any more.
func (s *server) newStream(w http.ResponseWriter, r *http.Request) (st *stream, ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(r.Context())
	st = &stream{
		w: w, rc: http.NewResponseController(w), limit: s.cfg.Timing.Write, left: cancel,
		event: sse, alive: ":\n\n",
	}
	kind := "text/event-stream"
	if strings.Contains(r.Header.Get("Accept"), "application/x-ndjson") {
		st.event, st.alive, kind = ndjson, "\n", "application/x-ndjson"
	}
	w.Header().Set("Content-Type", kind)
	return st, ctx, func() {
		cancel()
		_ = st.rc.SetWriteDeadline(time.Time{}) // the connection may serve another request
	}
}

// say sends one event; id may be empty.
func (s *stream) say(event, id string, v any) { s.send(s.event(event, id, v)) }

// beat sends a sign of life.
func (s *stream) beat() { s.send([]byte(s.alive)) }

// announce sends updates as they are heard, until ctx ends or hearing them fails.
func (s *stream) announce(ctx context.Context, heard iter.Seq2[Update, error]) {
	for u, err := range heard {
		if err != nil {
			if ctx.Err() == nil {
				_, code, hint := describe(err)
				s.say("error", "", ErrorLine{Type: LineError, Code: code, Message: err.Error(), Hint: hint})
			}
			return
		}
		s.say("update", fmt.Sprintf("%s/%d", u.From, u.Seq), UpdateLine{"update", u})
		if ctx.Err() != nil {
			return
		}
	}
}

func (s *stream) send(event []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.rc.SetWriteDeadline(time.Now().Add(s.limit))
	if err == nil {
		_, err = s.w.Write(event)
	}
	if err == nil {
		err = s.rc.Flush()
	}
	if err != nil {
		s.left()
	}
}

func sse(event, id string, v any) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", event)
	if id != "" && !strings.ContainsAny(id, "\r\n\x00") { // it was made by a stranger
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	fmt.Fprintf(&b, "data: %s\n", ndjson("", "", v))
	return b.Bytes()
}

func ndjson(_, _ string, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // a date beyond the year 9999, say
		b, _ = json.Marshal(ErrorLine{Type: LineError, Code: CodeIntegrity, Message: "an update that cannot be written as JSON: " + err.Error()})
	}
	return append(b, '\n')
}
