package rpc

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// Added is one file or directory that was added, or how far one has got.
type Added struct {
	Name  string
	Hash  string `json:",omitempty"`
	Bytes int64  `json:",omitempty"` // read so far
	Size  string `json:",omitempty"` // of all blocks under it
}

// maxLinks is how many children a parent in a file may be asked to have.
const maxLinks = 16 << 10

// adding is an add under way.
type adding struct {
	*call
	o        blocks.PutOptions
	progress bool
	silent   bool
	told     time.Time
}

// refused are options of add that mean something this peer does not do.
var refused = map[string]string{
	"nocopy": "references to files", "fscache": "references to files",
	"inline": "data within CIDs", "to-files": "mutable files", "preserve-mode": "modes", "preserve-mtime": "times",
	"mode": "modes", "mtime": "times", "mtime-nsecs": "times", "fast-provide-wait": "",
}

// add keeps files and trees as a put does: here, and on the peers closest to their blocks.
func (s *Server) add(c *call) error {
	for name, what := range refused {
		if v := c.opts.Get(name); what != "" && v != "" && v != "false" && v != "0" {
			return refuse("%s: this peer writes no %s", name, what)
		}
	}
	a := &adding{call: c}
	wrap, err := a.options()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	if err := s.n.Room(c, max(c.r.ContentLength, 0)); err != nil {
		return err
	}
	if err := c.rc.EnableFullDuplex(); err != nil {
		c.s.cfg.Log.Debug("answering only after reading", "err", err)
	}
	c.w.Header().Set("Connection", "close") // what is left of an unread body must not pass for a request
	defer c.patient()()                     // the body and the put have limits of their own
	for n := 0; ; n++ {
		it, err := f.peek()
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return refuse("the form has no file")
			}
			return nil
		}
		if err == nil {
			err = a.top(f, it, wrap)
		}
		if err != nil {
			return err
		}
	}
}

// options reads what is asked for, and whether everything is to be in one directory.
func (a *adding) options() (wrap bool, err error) {
	var pin, hash, shard bool
	for _, o := range []struct {
		to        *bool
		name      string
		otherwise bool
	}{
		{&wrap, "wrap-with-directory", false}, {&pin, "pin", true}, {&hash, "only-hash", false},
		{&a.progress, "progress", false}, {&a.silent, "silent", false}, {&shard, "pin-shard", true},
	} {
		if *o.to, err = a.flag(o.name, o.otherwise); err != nil {
			return false, err
		}
	}
	a.o = blocks.PutOptions{Name: a.opts.Get("pin-name"), Unpinned: !pin, HashOnly: hash}
	return wrap, a.layout()
}

// layout reads how files are to be cut.
func (a *adding) layout() (err error) {
	switch version := a.opts.Get("cid-version"); version {
	case "0":
		a.o.Profile = "unixfs-v0-2015"
	case "", "1":
		a.o.Profile = "unixfs-v1-2025"
	default:
		return refuse("cid-version %q: want 0 or 1", version)
	}
	if h := a.opts.Get("hash"); h != "" && h != "sha2-256" {
		return refuse("hash %q: this peer writes sha2-256", h)
	}
	if a.opts.Get("raw-leaves") != "" {
		raw, err := a.flag("raw-leaves", true)
		if err != nil {
			return err
		}
		a.o.Leaves = blocks.LeavesDagPB
		if raw {
			a.o.Leaves = blocks.LeavesRaw
		}
	}
	if err := a.chunker(); err != nil {
		return err
	}
	if a.o.Trickle, err = a.flag("trickle", false); err != nil {
		return err
	}
	links, err := a.number("max-file-links", 0, 2)
	if err != nil || links > maxLinks {
		return refuse("max-file-links %q: want 2 to %d", a.opts.Get("max-file-links"), maxLinks)
	}
	a.o.Links = int(links)
	for _, name := range []string{"max-directory-links", "max-hamt-fanout"} {
		if v := a.opts.Get(name); v != "" && v != "0" && !(name == "max-hamt-fanout" && v == "256") {
			return refuse("%s: the profile %s decides when a directory is sharded", name, a.o.Profile)
		}
	}
	return nil
}

// chunker reads where files are to be cut; which ways there are by content is for the DAG to say.
func (a *adding) chunker() (err error) {
	switch text := a.opts.Get("chunker"); {
	case text == "", text == "default":
	case strings.HasPrefix(text, "size-"):
		a.o.Chunk, err = strconv.ParseInt(text[len("size-"):], 10, 64)
		if err != nil || a.o.Chunk < 1 || a.o.Chunk > blocks.MaxSize {
			return refuse("chunker %q: want size-N, N from 1 to %d", text, blocks.MaxSize)
		}
	case text == "buzhash", strings.HasPrefix(text, "rabin"):
		a.o.Chunker = text
	default:
		return refuse("chunker %q: want size-N, rabin, rabin-AVG, rabin-MIN-AVG-MAX or buzhash", text)
	}
	return nil
}

// top adds what it begins: a file, a tree, or all that is left in one directory.
func (a *adding) top(f *form, it blocks.Item, wrap bool) error {
	o := a.o
	name, _, deeper := strings.Cut(it.Path, "/")
	if wrap {
		rc, err := a.s.n.PutTree(a, a.tree(f, "", func(blocks.Item) bool { return true }), o, nil)
		return a.done(rc, err, "")
	}
	if o.Name == "" {
		o.Name = name
	}
	switch {
	case it.Kind == blocks.KindSymlink && !deeper:
		return refuse("%q: a symlink is added only within a directory", it.Path)
	case it.Kind == blocks.KindFile && !deeper:
		f.take()
		rc, err := a.s.n.Put(a, a.told1(it), o, nil)
		if err = kept(err); err != nil {
			return err
		}
		if name == "" {
			name = rc.Root.String()
		}
		return a.say(name, rc.Root, rc.Size)
	}
	rc, err := a.s.n.PutTree(a, a.tree(f, name, func(it blocks.Item) bool {
		first, _, _ := strings.Cut(it.Path, "/")
		return first == name
	}), o, nil)
	return a.done(rc, err, name)
}

// kept takes a put with fewer copies than were waited for as done: it is kept here and queued.
func kept(err error) error {
	var short *blocks.ShortError
	if errors.As(err, &short) {
		return nil
	}
	return err
}

// tree yields the items of f as long as they belong to the tree name.
func (a *adding) tree(f *form, name string, ours func(blocks.Item) bool) iter.Seq2[blocks.Item, error] {
	return func(yield func(blocks.Item, error) bool) {
		for {
			it, err := f.peek()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(blocks.Item{}, err)
				return
			}
			if !ours(it) {
				return
			}
			f.take()
			if it.Kind == blocks.KindFile {
				it.Body = a.told1(it)
			}
			if name != "" {
				it.Path = strings.TrimPrefix(strings.TrimPrefix(it.Path, name), "/")
			}
			if it.Path == "" && it.Kind == blocks.KindFile { // several files without a name, wrapped
				yield(it, refuse("a file in a directory needs a name"))
				return
			}
			if !yield(it, nil) {
				return
			}
		}
	}
}

// told1 gives the body of it, of which is told how far it was read.
func (a *adding) told1(it blocks.Item) io.Reader {
	if !a.progress {
		return it.Body
	}
	return &counter{r: it.Body, tell: func(n int64, end bool) {
		if now := time.Now(); end || now.Sub(a.told) >= a.s.cfg.Tick {
			a.told = now
			_ = a.line(Added{Name: it.Path, Bytes: n}) // a client that has left ends the context
		}
	}}
}

type counter struct {
	r    io.Reader
	n    int64
	tell func(n int64, end bool)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if n > 0 || errors.Is(err, io.EOF) && c.n > 0 {
		c.tell(c.n, err != nil)
	}
	return n, err
}

// done tells of everything in a tree, what is deepest first.
func (a *adding) done(rc blocks.Receipt, err error, name string) error {
	if err = kept(err); err != nil {
		return err
	}
	if a.o.HashOnly { // nothing is here to be listed
		return a.say(name, rc.Root, rc.Size)
	}
	if !a.silent {
		if err := a.below(rc.Root, name, 0); err != nil {
			return err
		}
	}
	return a.say(name, rc.Root, rc.Size)
}

func (a *adding) below(dir cid.Cid, name string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("rpc: add: deeper than %d directories", maxDepth)
	}
	for e, err := range a.s.n.List(a, dir.String()) {
		if err != nil {
			return err
		}
		at := strings.TrimPrefix(name+"/"+e.Name, "/")
		if e.Kind == blocks.KindDir {
			if err := a.below(e.CID, at, depth+1); err != nil {
				return err
			}
		}
		if err := a.say(at, e.CID, e.Size); err != nil {
			return err
		}
	}
	return nil
}

// say tells that c was added; size is what is said of it if its blocks are not here.
func (a *adding) say(name string, c cid.Cid, size int64) error {
	if a.silent {
		return nil
	}
	if !a.o.HashOnly {
		if st, err := a.s.n.Stat(a, c.String()); err == nil && st.Total > 0 {
			size = st.Total
		}
	}
	return a.line(Added{Name: name, Hash: c.String(), Size: strconv.FormatInt(size, 10)})
}
