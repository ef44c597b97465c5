package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"
)

const (
	getters  = 8   // files that are fetched at a time
	maxDepth = 256 // names of a path; no longer one can be put
)

// look says what path names.
func (p *program) look(ctx context.Context, c *client.Client, path string) (blocks.Stat, error) {
	ctx, _, done := p.patience(ctx)
	defer done()
	m := p.meter()
	defer m.clear()
	m.show("looking for %s", printable(path))
	return c.Stat(ctx, path)
}

// getTree writes the directory or the symlink s to output: beside it first, and there
// when it is whole. With force it writes into a directory that is there. Of what a get that was
// cut off has left, and with force of what is there, kept bytes were right.
func (p *program) getTree(ctx context.Context, c *client.Client, s blocks.Stat, output string, force bool) (files int, n, kept int64, err error) {
	parent, err := os.OpenRoot(filepath.Dir(output))
	if err != nil {
		return 0, 0, 0, fmt.Errorf("get: %w", err)
	}
	defer parent.Close()
	name := filepath.Base(output)
	info, err := parent.Lstat(name)
	there := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return 0, 0, 0, fmt.Errorf("get: %w", err)
	case there && !force:
		return 0, 0, 0, fmt.Errorf("get: %s is there already: give another name with -o, or --force", printable(output))
	case there && s.Kind == blocks.KindDir && !info.IsDir():
		return 0, 0, 0, fmt.Errorf("get: %s is there and is no directory: give another name with -o", printable(output))
	case s.Kind != blocks.KindDir: // a symlink by itself
		u := &unpacker{root: parent, force: force}
		return 0, 0, 0, u.link(link{name, s.Target})
	}
	at, left := name, false
	if !there {
		at = partName(s.CID)
		lock, found, err := openPartDir(parent, at)
		if err != nil {
			return 0, 0, 0, fmt.Errorf("get: %w", err)
		}
		defer lock.Close()
		at, left = filepath.Base(lock.Name()), found
	}
	root, err := parent.OpenRoot(at)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("get: %w", err)
	}
	defer root.Close()
	ctx, w, done := p.patience(ctx)
	defer done()
	m := p.meter()
	defer m.clear()
	u := &unpacker{c: c, root: root, force: there, left: left, w: w, seen: map[string]bool{}}
	u.show = func() {
		m.show("%s  %s · %s", printable(output), count(int(u.files.Load()), "file"), size(u.bytes.Load()))
	}
	if err := u.unpack(ctx, s); err != nil {
		err = fmt.Errorf("get: %w", err)
		var name *blocks.NameError
		switch {
		case there:
		case at == partName(s.CID) && u.bytes.Load() >= worth && !errors.As(err, &name):
			err = fmt.Errorf("%w; %s are left in %s, the same get goes on from there", err, size(u.bytes.Load()), printable(filepath.Join(filepath.Dir(output), at)))
		default:
			err = errors.Join(err, parent.RemoveAll(at))
		}
		return 0, 0, 0, err
	}
	if !there {
		if err := parent.Rename(at, name); err != nil {
			return 0, 0, 0, fmt.Errorf("get: %w", err)
		}
	}
	return int(u.files.Load()), u.bytes.Load(), u.kept.Load(), nil
}

// unpacker writes a tree below root. Names are a stranger's: each is checked, and
// root follows none that leads out of it. Symlinks come last, so that nothing is
// written through them.
type unpacker struct {
	c     *client.Client
	root  *os.Root
	force bool
	left  bool // root has what a get that was cut off has left
	w     *watch
	show  func()

	links              []link
	seen               map[string]bool // files of the listing
	files, bytes, kept atomic.Int64
}

type link struct{ path, target string }

func (u *unpacker) unpack(ctx context.Context, s blocks.Stat) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(getters)
	err := u.dir(gctx, g, s.CID.String(), ".", 0)
	if failed := g.Wait(); failed != nil { // it ended the listing too
		err = failed
	}
	for _, l := range u.links {
		if err == nil {
			err = u.link(l)
		}
	}
	return err
}

// dir writes the directory id to path, which is there.
func (u *unpacker) dir(ctx context.Context, g *errgroup.Group, id, path string, depth int) error {
	if depth > maxDepth {
		return &blocks.NameError{Path: path, Reason: fmt.Sprintf("deeper than %d names", maxDepth)}
	}
	for e, err := range u.c.List(ctx, id) {
		if err != nil {
			return fmt.Errorf("%q: %w", path, err)
		}
		u.w.moved()
		reason := blocks.CheckName(e.Name)
		if reason == "" && !filepath.IsLocal(e.Name) {
			reason = "a name that this system gives another meaning"
		}
		if reason != "" {
			return &blocks.NameError{Path: path + "/" + e.Name, Reason: reason + " is not written"}
		}
		at := filepath.Join(path, e.Name)
		switch e.Kind {
		case blocks.KindDir:
			if err := u.mkdir(at); err != nil {
				return err
			}
			if err := u.dir(ctx, g, e.CID.String(), at, depth+1); err != nil {
				return err
			}
		case blocks.KindSymlink:
			u.links = append(u.links, link{at, e.Target})
		case blocks.KindFile:
			if u.seen[at] {
				return &blocks.NameError{Path: at, Reason: "there twice"}
			}
			u.seen[at] = true
			g.Go(func() error { return u.file(ctx, e.CID, at) })
		default:
			return fmt.Errorf("%q: %w", at, blocks.NotFound(e.CID))
		}
	}
	return nil
}

func (u *unpacker) mkdir(at string) error {
	err := u.root.Mkdir(at, 0o777)
	if errors.Is(err, fs.ErrExist) && (u.force || u.left) {
		if info, err := u.root.Lstat(at); err == nil && info.IsDir() {
			return nil
		}
	}
	return quoted(at, err)
}

// file fetches the file of to path. Where something may be overwritten it is written beside it
// first. What is there and right is not fetched.
func (u *unpacker) file(ctx context.Context, of cid.Cid, path string) (err error) {
	name, kept, whole := path, int64(0), false
	if u.force || u.left {
		kept, whole = u.here(ctx, of, path)
	}
	if whole {
		u.kept.Add(kept)
		u.bytes.Add(kept)
		u.files.Add(1)
		u.show()
		return nil
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	switch {
	case u.force:
		kept = 0
		name = filepath.Join(filepath.Dir(path), ".cairn-"+rand.Text()[:10]+".part")
		defer func() {
			if err != nil {
				_ = u.root.Remove(name) // it may never have been
			}
		}()
	case kept > 0:
		flags = os.O_WRONLY
	case u.left:
		if err := ignoreMissing(u.root.Remove(path)); err != nil {
			return quoted(path, err)
		}
	}
	f, err := u.root.OpenFile(name, flags, 0o666)
	if err != nil {
		return quoted(path, err)
	}
	u.kept.Add(kept)
	u.bytes.Add(kept)
	if err = errors.Join(f.Truncate(kept), seek(f, kept)); err == nil {
		err = u.fill(ctx, f, of.String(), kept)
	}
	if err = errors.Join(err, f.Close()); err == nil && u.force {
		err = u.root.Rename(name, path)
	}
	if err != nil {
		return quoted(path, err)
	}
	u.files.Add(1)
	u.show()
	return nil
}

// here is how much of the file of is at path and right, and whether that is all there is.
func (u *unpacker) here(ctx context.Context, of cid.Cid, path string) (n int64, whole bool) {
	info, err := u.root.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	f, err := u.root.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	n, whole = right(ctx, u.c, of, f, func(int64) { u.w.moved() })
	return n, whole && n == info.Size()
}

func (u *unpacker) fill(ctx context.Context, f io.Writer, cid string, kept int64) error {
	r, total, err := u.c.Get(ctx, cid, kept, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(f, reader{r, func(n int) {
		u.w.moved()
		u.bytes.Add(int64(n))
		u.show()
	}})
	if err == nil && n < total {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (u *unpacker) link(l link) error {
	if u.force {
		if info, err := u.root.Lstat(l.path); err == nil && !info.IsDir() {
			if err := u.root.Remove(l.path); err != nil {
				return quoted(l.path, err)
			}
		}
	}
	err := u.root.Symlink(l.target, l.path)
	if u.left && errors.Is(err, fs.ErrExist) {
		if there, e := u.root.Readlink(l.path); e == nil && there == l.target {
			return nil
		}
	}
	return quoted(l.path, err)
}

// quoted names a path in an error, once and so that it cannot pass for something else.
func quoted(path string, err error) error {
	var at *fs.PathError
	var two *os.LinkError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &at):
		err = at.Err
	case errors.As(err, &two):
		err = two.Err
	}
	return fmt.Errorf("%q: %w", path, err)
}
