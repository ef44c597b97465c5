package api

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// lines is the answer to a put, or to a task: JSON values, one a line, each flushed. A client
// that takes none is given up on and never holds the put up. A goroutine gives
// what tell held back and signs of life; close ends it.
type lines struct {
	rc   *http.ResponseController
	enc  *json.Encoder
	t    Timing
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	now   any       // the status line that was last to be written
	fresh bool      // now was not written yet
	wrote time.Time // the last line
	over  bool      // the last line was written, or the client has left
}

func newLines(w http.ResponseWriter, rc *http.ResponseController, t Timing) *lines {
	l := &lines{now: StatusLine{LineStatus, blocks.Progress{Copies: []int{}}}, rc: rc, enc: json.NewEncoder(w), t: t, stop: make(chan struct{}), done: make(chan struct{})}
	go l.pulse()
	return l
}

// tell takes progress, and writes it unless a line was written just now.
func (l *lines) tell(p blocks.Progress) {
	p.Copies = append([]int{}, p.Copies...) // the teller goes on counting
	l.status(StatusLine{LineStatus, p})
}

// task takes how far a task on the store is, as tell takes progress.
func (l *lines) task(d blocks.Done) { l.status(TaskLine{LineStatus, d}) }

func (l *lines) status(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now, l.fresh = v, true
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
	l.fresh = false
	l.writeLocked(l.now)
}

func (l *lines) write(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeLocked(v)
}

// last writes v, after what was held back, and nothing after it.
func (l *lines) last(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fresh {
		l.statusLocked(0)
	}
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
