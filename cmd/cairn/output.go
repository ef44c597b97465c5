package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"
)

// writeJSON writes v as one line. A reader that has gone ends the program by a
// signal, or the next write tells; there is nothing else to do about it here.
func writeJSON(w io.Writer, v any) {
	_ = json.NewEncoder(w).Encode(v)
}

// note tells the user something that is not data.
func (p *program) note(format string, args ...any) {
	if !p.json && p.progress != "json" {
		fmt.Fprintf(p.err, format+"\n", args...)
	}
}

// often is the time between two looks at a long run: as often as an eye follows.
const often = 100 * time.Millisecond

// meter shows how far a long run has got, on stderr: one line that is written
// over on a terminal, lines once a second when they are asked for, or JSON, else
// nothing until it is asked by a signal.
type meter struct {
	w     io.Writer
	mode  string // "", terminal, plain or json
	began time.Time

	mu    sync.Mutex // guards the rest: who reads a file and who hears of its copies are two
	last  time.Time
	shown bool
	now   string // what was last to be shown

	told  time.Time // the last line of JSON
	phase string    // of it
}

func (p *program) meter() *meter {
	m := &meter{w: p.err, began: time.Now()}
	f, ok := p.err.(*os.File)
	switch {
	case p.progress == "json":
		m.mode = "json"
	case p.json || p.progress == "none":
	case p.progress == "plain":
		m.mode = "plain"
	case ok && term.IsTerminal(int(f.Fd())):
		m.mode = "terminal"
	}
	return m
}

func (m *meter) show(format string, args ...any) {
	every := often
	if m.mode == "plain" {
		every = time.Second
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.last) < every {
		return
	}
	m.last = time.Now()
	m.now = fmt.Sprintf(format, args...)
	m.writeLocked(m.now)
}

// line writes v as a line of JSON; nothing else is written meanwhile.
func (m *meter) line(w io.Writer, v any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	writeJSON(w, v)
}

// final shows a line whenever the one before was.
func (m *meter) final(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writeLocked(fmt.Sprintf(format, args...))
}

func (m *meter) writeLocked(line string) {
	switch m.mode {
	case "terminal":
		fmt.Fprintf(m.w, "\r\x1b[K%s", line)
		m.shown = true
	case "plain":
		fmt.Fprintln(m.w, line)
	}
}

// clear takes the line away, for a note to stand in its place.
func (m *meter) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clearLocked()
}

func (m *meter) clearLocked() {
	if m.shown {
		fmt.Fprint(m.w, "\r\x1b[K")
		m.shown = false
	}
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// count says 1 block, 2 blocks.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
