package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// UpdateLine is an [Update] in the NDJSON form of the stream.
type UpdateLine struct {
	Type string `json:"type"` // update
	Update
}

// updates streams announcements until the client leaves: as server-sent events,
// or as NDJSON for those who accept it, where an empty line is the sign of life.
func (s *server) updates(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	var beat sync.WaitGroup
	defer func() {
		cancel()
		beat.Wait()
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // the connection may serve another request
	}()
	st := &stream{w: w, rc: http.NewResponseController(w), limit: s.cfg.Timing.Write, left: cancel}
	event, alive, kind := sse, ":\n\n", "text/event-stream"
	if strings.Contains(r.Header.Get("Accept"), "application/x-ndjson") {
		event, alive, kind = ndjson, "\n", "application/x-ndjson"
	}
	w.Header().Set("Content-Type", kind)
	st.send([]byte(alive)) // the header goes out at once
	beat.Go(func() {       // ends with ctx
		tick := time.NewTicker(s.cfg.Timing.Heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				st.send([]byte(alive))
			}
		}
	})
	for u, err := range s.n.Updates(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				_, code, hint := describe(err)
				st.send(event("error", "", ErrorLine{Type: LineError, Code: code, Message: err.Error(), Hint: hint}))
			}
			return
		}
		st.send(event("update", fmt.Sprintf("%s/%d", u.From, u.Seq), UpdateLine{"update", u}))
		if ctx.Err() != nil {
			return
		}
	}
}

// stream writes whole events, from any goroutine; left is called when the
// client takes no more.
type stream struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	limit time.Duration
	left  func()
	mu    sync.Mutex // of w
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
