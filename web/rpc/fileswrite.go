package rpc

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/ipld/merkledag"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/boxo/mfs"
	ipld "github.com/ipfs/go-ipld-format"
)

// maxGap is how many zeros a write may leave between the end of a file and where it begins.
const maxGap = 1 << 30

// writing is what a write is asked for.
type writing struct {
	path                      string
	create, parents, truncate bool
	offset                    int64
	count                     int64 // -1: all that comes
}

// filesWrite writes into a file:
//
//	body → blocks of a file of its own, while others have their turn → turn: the file as it
//	is, with that in it → blocks, as a put of the whole would make them
//
// A body that breaks off has changed nothing.
func (s *Server) filesWrite(c *call) error {
	w, err := c.writing()
	if err != nil {
		return err
	}
	e, err := c.edit()
	if err != nil {
		return err
	}
	if err := e.fits(w); err != nil { // before the body is read
		return e.failed(err)
	}
	c.w.Header().Set("Connection", "close") // what is left of an unread body must not pass for a request
	body, err := e.body(w)
	if err != nil {
		return e.failed(err)
	}
	return e.done(func(r *mfs.Root) error { return e.write(r, w, body) })
}

func (c *call) writing() (w writing, err error) {
	arg, err := c.arg("a path")
	if err != nil {
		return w, err
	}
	if w.path, err = entry(arg); err != nil {
		return w, err
	}
	if err := c.flags(map[string]*bool{"create": &w.create, "parents": &w.parents, "truncate": &w.truncate}); err != nil {
		return w, err
	}
	var err2 error
	w.offset, err = c.number("offset", 0, 0)
	w.count, err2 = c.number("count", -1, 0)
	return w, errors.Join(err, err2)
}

// fits reports what is wrong with w now, and whether there is room for it.
func (e *edit) fits(w writing) error {
	nd, back, err := e.f.at(e, w.path)
	if err == nil {
		back()
	}
	switch {
	case errors.Is(err, os.ErrNotExist) && w.create:
	case err != nil:
		return err
	default:
		if file, err := isFile(nd); err != nil || !file {
			return errors.Join(err, fmt.Errorf("%s %w", w.path, errNotFile))
		}
	}
	return e.s.n.Room(e, max(e.r.ContentLength, 0))
}

// body makes a file of what comes.
func (e *edit) body(w writing) (ipld.Node, error) {
	f, err := e.form()
	if err != nil {
		return nil, err
	}
	it, err := f.peek()
	switch {
	case errors.Is(err, io.EOF):
		return nil, refuse("the form has no file")
	case err != nil:
		return nil, err
	case it.Kind != blocks.KindFile:
		return nil, refuse("%q is no file", it.Path)
	}
	r := it.Body
	if w.count >= 0 {
		r = io.LimitReader(r, w.count)
	}
	nd, err := e.d.file(r)
	if err != nil {
		return nil, err
	}
	if w.count >= 0 {
		return nd, nil // the rest is nobody's business
	}
	f.take()
	switch _, err = f.peek(); {
	case errors.Is(err, io.EOF):
		return nd, nil
	case err == nil:
		err = refuse("the form has more than one file")
	}
	return nil, err
}

// write puts body into the file, where w says.
func (e *edit) write(r *mfs.Root, w writing, body ipld.Node) error {
	if dir, _ := parted(w.path); w.parents && dir != "/" {
		if err := mkdir(r, dir, true); err != nil {
			return err
		}
	}
	old := ipld.Node(merkledag.NewRawNode(nil))
	at, err := mfs.Lookup(r, w.path)
	switch {
	case errors.Is(err, os.ErrNotExist) && w.create:
	case err != nil:
		return err
	case !mfs.IsFile(at):
		return fmt.Errorf("%s %w", w.path, errNotFile)
	default:
		if old, err = at.GetNode(); err != nil {
			return err
		}
		if err := unlink(r, w.path); err != nil {
			return err
		}
		if w.truncate {
			old = merkledag.NewRawNode(nil)
		}
	}
	nd, err := e.mixed(old, body, w.offset)
	if err != nil {
		return err
	}
	return mfs.PutNode(r, w.path, nd)
}

// mixed gives the file old with that of body from offset on.
func (e *edit) mixed(old, body ipld.Node, offset int64) (ipld.Node, error) {
	was, err := uio.NewDagReader(e, old, e.d.dag)
	if err != nil {
		return nil, err
	}
	defer was.Close()
	comes, err := uio.NewDagReader(e, body, e.d.dag)
	if err != nil {
		return nil, err
	}
	defer comes.Close()
	size, more := int64(was.Size()), int64(comes.Size())
	gap := max(offset-size, 0)
	switch {
	case more == 0 && offset <= size:
		if size > 0 {
			return old, nil
		}
		return body, nil
	case offset == 0 && more >= size:
		return body, nil
	case more == 0:
		return old, nil // as in a file of a disk, nothing is written at no place
	case gap > maxGap:
		return nil, refuse("offset %d is %d bytes behind the end of the file, limit %d", offset, gap, maxGap)
	}
	tail, err := uio.NewDagReader(e, old, e.d.dag)
	if err != nil {
		return nil, err
	}
	defer tail.Close()
	end := min(offset+more, size)
	if _, err := tail.Seek(end, io.SeekStart); err != nil {
		return nil, err
	}
	want := max(offset+more, size)
	got := &counter{r: io.MultiReader(io.LimitReader(was, min(offset, size)), io.LimitReader(zeros{}, gap), comes, tail), tell: func(int64, bool) {}}
	nd, err := e.d.file(got)
	if err == nil && got.n != want {
		err = fmt.Errorf("rpc: files: %d bytes where there should be %d: %w", got.n, want, io.ErrUnexpectedEOF)
	}
	return nd, err
}

// zeros reads as zeros without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
