package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
)

// leftOutError says which parts of a tree were not put; the others were.
type leftOutError struct {
	dir    string
	failed []error
}

func (e *leftOutError) Error() string {
	const most = 20 // to name: more would be no message
	some := e.failed[:min(len(e.failed), most)]
	s := fmt.Sprintf("%s of %s not put: %v", entries(len(e.failed)), printable(e.dir), errors.Join(some...))
	if n := len(e.failed) - len(some); n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// putTree puts the directory dir and prints its CID. A file that changes in the middle
// of being sent makes it begin again without that file.
func (p *program) putTree(ctx context.Context, c *client.Client, o putFlags, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	defer root.Close()
	if o.Name == "" {
		o.Name = nameOf(dir)
	}
	k := &packer{root: root, dir: dir, skip: map[string]bool{}}
	for {
		err := p.sendTree(ctx, c, o, k)
		var changed *changedError
		if errors.As(err, &changed) && ctx.Err() == nil {
			k.skip[changed.path] = true
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(k.skip)) {
			k.failed = append(k.failed, fmt.Errorf("%q: %w", filepath.Join(dir, path), errChanged))
		}
		var said *client.Error
		short := errors.As(err, &said) && said.Code == api.CodeShort
		switch {
		case len(k.failed) == 0 || err != nil && !short:
			return err
		case short:
			p.note("cairn: %s: %s", printable(dir), err)
		}
		return &leftOutError{dir, k.failed}
	}
}

// sendLine is how far a tree was sent, with --json.
type sendLine struct {
	Type  string `json:"type"` // sending
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
}

// nameOf is what a directory is called: . has a name too.
func nameOf(dir string) string {
	if full, err := filepath.Abs(dir); err == nil {
		dir = full
	}
	name := filepath.Base(dir)
	if name == string(filepath.Separator) {
		return ""
	}
	return printable(strings.ToValidUTF8(name, "?"))
}

// tarBytes is how much of a tar is handed on at once: a file of a KiB makes four writes.
const tarBytes = 256 << 10

// sendTree sends what k packs, once. The tar is written by a goroutine that has ended
// when sendTree returns.
func (p *program) sendTree(ctx context.Context, c *client.Client, o putFlags, k *packer) error {
	ctx, w, done := p.patience(ctx)
	defer done()
	m := p.meter()
	defer m.clear()
	defer m.answering()()
	if o.quiet {
		m.mode = ""
	}
	name := printable(k.dir)
	var files, sent atomic.Int64
	k.read = func(now, n int) {
		w.moved()
		files.Store(int64(now))
		sent.Add(int64(n))
	}
	out, in := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		tar := bufio.NewWriterSize(in, tarBytes)
		err := k.pack(tar)
		if err == nil {
			err = tar.Flush()
		}
		in.CloseWithError(err) // nil is the end
	}()
	var told time.Time
	var telling sync.Mutex    // of told
	var spreading atomic.Bool // the daemon has it all
	show := func() {
		telling.Lock()
		defer telling.Unlock()
		if spreading.Load() {
			return
		}
		m.track(statusLine{Verb: "put", Phase: "sending", Name: k.dir, Done: sent.Load(), Files: files.Load()})
		if !p.json {
			m.show("sending %s  %s · %s", name, count(int(files.Load()), "file"), size(sent.Load()))
		} else if time.Since(told) > time.Second {
			told = time.Now()
			m.line(p.out, sendLine{"sending", files.Load(), sent.Load()})
		}
	}
	show()
	stop := every(often, show) // the daemon may be busy with what it has
	src := reader{out, func(int) { w.moved(); show() }}
	err := p.follow(o, m, w, func(tell func(blocks.Progress)) (blocks.Receipt, error) {
		defer stop()
		return c.PutTree(ctx, src, o.PutOptions, func(now blocks.Progress) {
			if now.Blocks > 0 {
				spreading.Store(true)
			}
			tell(now)
		})
	})
	out.CloseWithError(errors.New("put: given up"))
	<-packed
	return err
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
