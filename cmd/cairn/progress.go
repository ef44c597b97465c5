package main

import (
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// statusLine is how far a put or a get is, with --progress json: one object a
// line on stderr, ten a second at most.
type statusLine struct {
	Type    string  `json:"type"`  // status
	Verb    string  `json:"verb"`  // put or get
	Phase   string  `json:"phase"` // sending, replicating, looking or reading
	Name    string  `json:"name,omitempty"`
	Elapsed float64 `json:"seconds_elapsed"`
	Done    int64   `json:"bytes_done"`
	Files   int64   `json:"files_done,omitempty"`   // of a tree
	Total   int64   `json:"total_bytes,omitempty"`  // left out when it is not known
	Percent float64 `json:"percent_done,omitempty"` // 0 to 1, of this phase
	Blocks  int     `json:"blocks,omitempty"`
	Safe    int     `json:"blocks_safe,omitempty"` // with as many copies as were waited for
	Target  int     `json:"copies_wanted,omitempty"`
}

// track tells m how far a run is, for those who read JSON.
func (m *meter) track(s statusLine) {
	if m.mode != "json" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.told) < often && s.Phase == m.phase {
		return
	}
	m.told, m.phase = time.Now(), s.Phase
	s.Type, s.Elapsed = "status", time.Since(m.began).Seconds()
	if s.Total > 0 {
		s.Percent = min(1, float64(s.Done)/float64(s.Total))
	}
	writeJSON(m.w, s)
}

// copies is the status of a put that spreads its blocks.
func copies(name string, p blocks.Progress) statusLine {
	s := statusLine{Verb: "put", Phase: "replicating", Name: name, Blocks: p.Blocks, Safe: p.Safe, Target: min(p.Target, p.Members)}
	if p.Blocks > 0 {
		s.Percent = float64(p.Safe) / float64(p.Blocks)
	}
	return s
}

// answering prints how far m is whenever the user asks by a signal, until the
// answer is called. Without it the signal would end the program.
func (m *meter) answering() (end func()) {
	if len(statusSignals) == 0 {
		return func() {}
	}
	asked, done, ended := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(asked, statusSignals...)
	go func() { // ends with end, which waits for it
		defer close(ended)
		for {
			select {
			case <-asked:
				m.answer()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(asked)
		close(done)
		<-ended
	}
}

func (m *meter) answer() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clearLocked()
	now := m.now
	if now == "" {
		now = "nothing has moved yet"
	}
	fmt.Fprintf(m.w, "%s · %.1f s\n", now, time.Since(m.began).Seconds())
}
