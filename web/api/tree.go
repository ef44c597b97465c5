package api

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/cairn-network/cairn/blocks"
)

// maxLink is what is read of the target of a symlink: a tree takes no longer one.
const maxLink = 8 << 10

// tree says how the body of r is read if it is more than one file: a tar, or a
// form of files with relative names. It gives nil for the raw bytes of one file.
func tree(r *http.Request) (func(io.Reader) iter.Seq2[blocks.Item, error], error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/x-tar":
		return untar, nil
	case err == nil && kind == "multipart/form-data" && params["boundary"] != "":
		return func(body io.Reader) iter.Seq2[blocks.Item, error] { return parts(body, params["boundary"]) }, nil
	case strings.HasPrefix(strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Type"))), "multipart/"):
		return nil, &refusal{http.StatusUnsupportedMediaType, CodeUsage, "of the multipart types only multipart/form-data with a boundary is taken", ""}
	}
	return nil, nil
}

// untar yields what a tar holds. A tar that lacks its end is an error: its last file
// would be missing, and nobody would know.
func untar(body io.Reader) iter.Seq2[blocks.Item, error] {
	return func(yield func(blocks.Item, error) bool) {
		end := &tail{r: body}
		in := tar.NewReader(end)
		for {
			end.zeros = 0 // those of a file are not the end
			h, err := in.Next()
			switch {
			case err == io.EOF: //nolint:errorlint // tar says EOF itself
				if err := end.whole(); err != nil {
					yield(blocks.Item{}, err)
				}
				return
			case errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong):
				yield(blocks.Item{}, usage("the body is no tar: "+err.Error(), ""))
				return
			case err != nil:
				yield(blocks.Item{}, cutShort("tar", err))
				return
			case h.Typeflag == tar.TypeXGlobalHeader:
				continue
			}
			it, err := itemOf(h, in)
			if !yield(it, err) || err != nil {
				return
			}
		}
	}
}

func itemOf(h *tar.Header, body io.Reader) (blocks.Item, error) {
	it := blocks.Item{Path: strings.TrimPrefix(h.Name, "./")}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		it.Kind, it.Body = blocks.KindFile, piece{body, "tar"}
	case tar.TypeDir:
		it.Kind, it.Path = blocks.KindDir, strings.TrimSuffix(it.Path, "/")
		if it.Path == "." {
			it.Path = ""
		}
	case tar.TypeSymlink:
		it.Kind, it.Target = blocks.KindSymlink, h.Linkname
	default:
		return it, &blocks.NameError{Path: h.Name, Reason: fmt.Sprintf("tar type %q is not taken: files, directories and symlinks are", h.Typeflag)}
	}
	return it, nil
}

// tail remembers whether the last that was read ends a tar: two blocks of zeros.
type tail struct {
	r     io.Reader
	zeros int // read last
}

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if rest := bytes.TrimRight(p[:n], "\x00"); len(rest) == 0 {
		t.zeros += n
	} else {
		t.zeros = n - len(rest)
	}
	return n, err
}

// whole reads what is left, padding and no more, and answers nil if a tar ended.
func (t *tail) whole() error {
	if t.zeros < 1024 {
		return cutShort("tar", io.ErrUnexpectedEOF)
	}
	before := t.zeros
	n, err := io.Copy(io.Discard, t)
	if err == nil && int64(t.zeros-before) < n {
		err = usage("the tar is followed by something else, nothing was kept", "")
	}
	return err
}

// cutShort says that a body ended too early, or passes on why it could not be read.
func cutShort(what string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return usage("the "+what+" ended too early, nothing was kept", "")
	}
	return err
}

// piece is a file within a body: where the body ends, it has been cut.
type piece struct {
	io.Reader
	of string
}

func (p piece) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = cutShort(p.of, err)
	}
	return n, err
}

// parts yields the files of a form. A part's filename is its path; one of type
// application/x-directory is a directory, and the bytes of one of type
// application/symlink are where it leads, as other IPFS programs have it.
func parts(body io.Reader, boundary string) iter.Seq2[blocks.Item, error] {
	return func(yield func(blocks.Item, error) bool) {
		end := &ending{r: body, most: len(boundary) + 8}
		form := multipart.NewReader(end, boundary)
		for {
			p, err := form.NextRawPart()
			if err == io.EOF { //nolint:errorlint // multipart says EOF itself
				if err := end.with("--" + boundary + "--"); err != nil {
					yield(blocks.Item{}, err)
				}
				return
			}
			if err != nil {
				yield(blocks.Item{}, cutShort("form", err))
				return
			}
			it, err := partItem(p)
			if !yield(it, err) || err != nil {
				return
			}
		}
	}
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

// with reads what is left and answers nil if the body ends with text.
func (e *ending) with(text string) error {
	if _, err := io.Copy(io.Discard, e); err != nil {
		return err
	}
	if !bytes.HasSuffix(bytes.TrimRight(e.last, "\r\n"), []byte(text)) {
		return cutShort("form", io.ErrUnexpectedEOF)
	}
	return nil
}

func partItem(p *multipart.Part) (blocks.Item, error) {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	name, ok := params["filename"] // Part.FileName gives only the end of it
	if err != nil || !ok {
		return blocks.Item{}, usage("a part of the form has no filename: only files are taken", "")
	}
	it := blocks.Item{Path: strings.TrimPrefix(name, "./"), Kind: blocks.KindFile, Body: piece{p, "form"}}
	switch p.Header.Get("Content-Type") {
	case "application/x-directory":
		it.Kind, it.Body = blocks.KindDir, nil
	case "application/symlink":
		target, err := io.ReadAll(io.LimitReader(p, maxLink))
		if err != nil {
			return it, cutShort("form", err)
		}
		it.Kind, it.Target, it.Body = blocks.KindSymlink, string(target), nil
	}
	return it, nil
}
