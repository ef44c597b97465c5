package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// lines is the answer to a put: JSON values, one a line, each flushed. A client
// that takes none is given up on and never holds the put up. A goroutine gives
// what tell held back and signs of life; close ends it.
type lines struct {
	rc   *http.ResponseController
	enc  *json.Encoder
	t    Timing
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	now   blocks.Progress
	fresh bool      // now was not written yet
	wrote time.Time // the last line
	over  bool      // the last line was written, or the client has left
}

func newLines(w http.ResponseWriter, rc *http.ResponseController, t Timing) *lines {
	l := &lines{rc: rc, enc: json.NewEncoder(w), t: t, stop: make(chan struct{}), done: make(chan struct{})}
	go l.pulse()
	return l
}

// tell takes progress, and writes it unless a line was written just now.
func (l *lines) tell(p blocks.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Copies = slices.Clone(p.Copies) // the teller goes on counting
	l.now, l.fresh = p, true
	l.statusLocked(l.t.Status)
}

func (l *lines) pulse() {
	defer close(l.done)
	tick := time.NewTicker(l.t.Status)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		if l.fresh {
			l.statusLocked(l.t.Status)
		} else {
			l.statusLocked(l.t.Heartbeat)
		}
		l.mu.Unlock()
	}
}

func (l *lines) statusLocked(after time.Duration) {
	if time.Since(l.wrote) < after {
		return
	}
	p := l.now
	p.Copies, l.fresh = list(p.Copies), false
	l.writeLocked(StatusLine{LineStatus, p})
}

func (l *lines) write(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeLocked(v)
}

// last writes v, and nothing after it.
func (l *lines) last(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeLocked(v)
	l.over = true
}

func (l *lines) writeLocked(v any) {
	if l.over {
		return
	}
	l.wrote = time.Now()
	err := l.rc.SetWriteDeadline(l.wrote.Add(l.t.Write))
	if err == nil {
		err = l.enc.Encode(v)
	}
	if err == nil {
		err = l.rc.Flush()
	}
	l.over = err != nil
}

func (l *lines) close() {
	close(l.stop)
	<-l.done
	_ = l.rc.SetWriteDeadline(time.Time{}) // the connection may serve another request
}
