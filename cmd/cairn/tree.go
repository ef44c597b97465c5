package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/cairn-network/cairn/blocks"
)

// readAhead is how much of a file is read before it is sent: what is no larger and
// changes meanwhile is simply left out.
const readAhead = 4 << 20

// changedError says that a file changed in the middle of being sent. A tar cannot
// take it back: the tree is sent again, without it.
type changedError struct{ path string }

func (e *changedError) Error() string { return e.path + ": changed while it was read" }

// packer writes a directory as a tar. What it cannot read it names and leaves out.
type packer struct {
	root   *os.Root
	dir    string // as the user called it
	skip   map[string]bool
	w      *tar.Writer
	files  int
	failed []error
	read   func(files, n int) // hears of n more bytes
}

// pack writes what is under dir to w, except the files in skip.
func (k *packer) pack(w io.Writer) (err error) {
	k.files, k.failed, k.w = 0, nil, tar.NewWriter(w)
	err = fs.WalkDir(k.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if p == "." {
				return err
			}
			return k.leave(p, err, d)
		}
		if p == "." || k.skip[p] {
			return nil
		}
		if reason := blocks.CheckName(path.Base(p)); reason != "" {
			return k.leave(p, errors.New(reason+" is not put"), d)
		}
		return k.entry(p, d)
	})
	if err != nil {
		return err
	}
	return k.w.Close()
}

// leave notes why p is not put; a directory is left out with all that is in it.
func (k *packer) leave(p string, err error, d fs.DirEntry) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // the path is said once, as the user has it
	}
	k.failed = append(k.failed, fmt.Errorf("%q: %w", filepath.Join(k.dir, p), err))
	if d != nil && d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (k *packer) entry(p string, d fs.DirEntry) error {
	h := &tar.Header{Name: p, Mode: 0o644, Format: tar.FormatPAX}
	switch kind := d.Type(); {
	case kind.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, p+"/"
	case kind&fs.ModeSymlink != 0:
		to, err := k.root.Readlink(p)
		if err != nil {
			return k.leave(p, err, d)
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, to
	case kind.IsRegular():
		return k.file(p, d, h)
	default:
		return k.leave(p, errors.New("is no file, directory or symlink"), d)
	}
	return k.w.WriteHeader(h)
}

var errChanged = errors.New("changed while it was read")

func (k *packer) file(p string, d fs.DirEntry, h *tar.Header) error {
	info, err := k.root.Lstat(p)
	if err != nil {
		return k.leave(p, err, d) // it has vanished
	}
	f, err := k.root.Open(p)
	if err != nil {
		return k.leave(p, err, d)
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(info, now) {
		return k.leave(p, errors.Join(err, errChanged), d)
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	src := reader{f, func(n int) { k.read(k.files, n) }}
	head, err := io.ReadAll(io.LimitReader(src, min(h.Size, readAhead)+1))
	switch {
	case err != nil:
		return k.leave(p, err, d)
	case h.Size <= readAhead && int64(len(head)) != h.Size, int64(len(head)) <= min(h.Size-1, readAhead):
		return k.leave(p, errChanged, d)
	}
	if err := k.w.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(k.w, io.LimitReader(io.MultiReader(bytes.NewReader(head), src), h.Size))
	if err != nil {
		var at *fs.PathError // of the file, not of the connection
		if !errors.As(err, &at) {
			return err
		}
	}
	if more, _ := src.Read(make([]byte, 1)); err != nil || n < h.Size || h.Size > readAhead && more > 0 {
		return &changedError{p}
	}
	k.files++
	k.read(k.files, 0)
	return nil
}
