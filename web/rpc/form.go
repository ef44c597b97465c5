package rpc

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"path"
	"strings"

	"github.com/cairn-network/cairn/blocks"
)

// maxTarget is what is read of the target of a symlink.
const maxTarget = 8 << 10

// form reads the files that a client sends, one after the other: their names are
// escaped, a directory comes before what is in it, or not at all.
type form struct {
	r    *multipart.Reader
	end  *ending
	last string // what the body must end with
	next *blocks.Item
	err  error
}

// form gives the body of c as a form.
func (c *call) form() (*form, error) {
	kind, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil, refuse("the body must be a multipart/form-data with a boundary")
	}
	end := &ending{r: c.body(), most: len(params["boundary"]) + 8}
	return &form{r: multipart.NewReader(end, params["boundary"]), end: end, last: "--" + params["boundary"] + "--"}, nil
}

// file gives the first file of the form of c, for commands that take one.
func (c *call) file() (io.Reader, error) {
	f, err := c.form()
	if err != nil {
		return nil, err
	}
	it, err := f.peek()
	if errors.Is(err, io.EOF) {
		return nil, refuse("the form has no file")
	}
	if err != nil {
		return nil, err
	}
	if it.Kind != blocks.KindFile {
		return nil, refuse("%q is no file", it.Path)
	}
	return it.Body, nil
}

// peek gives the next item, again and again until it is taken; io.EOF: there is none.
func (f *form) peek() (blocks.Item, error) {
	if f.next == nil && f.err == nil {
		it, err := f.read()
		f.next, f.err = &it, err
	}
	if f.err != nil {
		return blocks.Item{}, f.err
	}
	return *f.next, nil
}

func (f *form) take() { f.next = nil }

func (f *form) read() (it blocks.Item, err error) {
	p, err := f.r.NextRawPart()
	if errors.Is(err, io.EOF) {
		return it, f.end.with(f.last)
	}
	if err != nil {
		return it, cut(err)
	}
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return it, refuse("a part of the form has no readable Content-Disposition")
	}
	name := params["filename"]
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	it = blocks.Item{Path: strings.TrimPrefix(path.Clean("/"+name), "/"), Kind: blocks.KindFile, Body: piece{p}}
	kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
	switch kind {
	case "application/x-directory", "multipart/form-data":
		it.Kind, it.Body = blocks.KindDir, nil
	case "application/symlink":
		target, err := io.ReadAll(io.LimitReader(p, maxTarget))
		if err != nil {
			return it, cut(err)
		}
		it.Kind, it.Target, it.Body = blocks.KindSymlink, string(target), nil
	}
	return it, nil
}

// piece is a file within a form: where the body ends, it has been cut.
type piece struct{ io.Reader }

func (p piece) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = cut(err)
	}
	return n, err
}

// cut says that a body ended too early, or passes on why it could not be read.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return refuse("the form ended too early, nothing of it was kept")
	}
	return err
}

// ending remembers the last bytes that were read: package multipart takes a body
// that ends in the head of a part for one that has no more parts.
type ending struct {
	r    io.Reader
	most int
	last []byte
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.last = append(e.last, p[max(0, n-e.most):n]...)
	e.last = e.last[max(0, len(e.last)-e.most):]
	return n, err
}

// with reads what is left and answers io.EOF if the body ends with text.
func (e *ending) with(text string) error {
	if _, err := io.Copy(io.Discard, e); err != nil {
		return cut(err)
	}
	if !bytes.HasSuffix(bytes.TrimRight(e.last, "\r\n"), []byte(text)) {
		return cut(io.ErrUnexpectedEOF)
	}
	return io.EOF
}
