package deny

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"
)

// every is how often a file is looked at for changes.
const every = 2 * time.Second

// List is what is denied now. A nil List denies nothing. Every method may be called by
// many goroutines at once.
type List struct {
	files []string
	rules atomic.Pointer[rules]
	seen  []stamp // of files; Run's, once it runs
	log   *slog.Logger
}

// stamp is by what a file is known to be the same. One that is not there has none.
type stamp struct {
	size int64
	time time.Time
}

// Open reads files. A line that is wrong is a [*LineError]. No files give a nil List.
func Open(files []string, log *slog.Logger) (*List, error) {
	if len(files) == 0 {
		return nil, nil
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &List{files: slices.Clone(files), log: log}
	l.seen = l.stamps()
	r, err := read(l.files)
	if err != nil {
		return nil, err
	}
	l.rules.Store(r)
	return l, nil
}

// read reads all files, of which the later ones have the last word.
func read(files []string) (*rules, error) {
	r := &rules{prefixes: map[string]int{}}
	for _, file := range files {
		if err := r.file(file); err != nil {
			return nil, err
		}
	}
	r.finish()
	return r, nil
}

func (r *rules) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("deny: %w", err)
	}
	defer f.Close()
	return r.parse(name, f)
}

func (l *List) stamps() []stamp {
	out := make([]stamp, len(l.files))
	for i, name := range l.files {
		if info, err := os.Stat(name); err == nil {
			out[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return out
}

// Run reads the files anew when one of them has changed, until ctx is done. What cannot
// be read is told once, and what was denied before stays so. It answers nil.
func (l *List) Run(ctx context.Context) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.renew()
		case <-ctx.Done():
			return nil
		}
	}
}

// renew reads the files if one of them is not as it was.
func (l *List) renew() {
	now := l.stamps()
	if slices.Equal(now, l.seen) {
		return
	}
	l.seen = now // a file that changes while it is read has another stamp the next time
	r, err := read(l.files)
	if err != nil {
		l.log.Warn("denylist not read anew; what it denied before stays denied", "err", err)
		return
	}
	l.rules.Store(r)
	l.log.Info("denylist read anew", "rules", len(r.sorted))
}

// Len is how many rules there are.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return len(l.rules.Load().sorted)
}

// Block reports whether the block c is denied, under whatever path.
func (l *List) Block(c cid.Cid) bool {
	if l == nil {
		return false
	}
	var v verdict
	l.rules.Load().block(&v, c)
	return v.found && !v.allow
}

// Path reports whether /ipfs/CID/a/b or /ipns/NAME/a/b is denied as a path, or its root
// is. What is no such path is not.
func (l *List) Path(path string) bool {
	if l == nil {
		return false
	}
	space, rest, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || space != "ipfs" && space != "ipns" {
		return false
	}
	name, rest, _ := strings.Cut(rest, "/")
	var v verdict
	l.rules.Load().path(&v, space, name, rest)
	return v.found && !v.allow
}
