package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/ipfs/go-cid"
)

// A get that is cut off is taken up again:
//
//	.cairn-CID.part → is each of its leaves what the CID says? → cut after the last that is → the rest → rename
//
// What is found is believed for its hashes alone, so nothing is written down beside it.

// worth is how many bytes a get that failed must have brought for them to be left.
const worth = 1 << 20

// partName is where cid is written until it is whole.
func partName(cid cid.Cid) string { return ".cairn-" + cid.String() + ".part" }

// save writes the file cid, which path names, to output; kept says how much of it was there.
// What is no plain file, such as a pipe, is written to as it is.
func (p *program) save(ctx context.Context, c *client.Client, cid cid.Cid, path, output string, force bool) (n, kept int64, err error) {
	switch info, err := os.Stat(output); {
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(output, os.O_WRONLY, 0)
		if err != nil {
			return 0, 0, fmt.Errorf("get: %w", err)
		}
		n, err = p.fetch(ctx, c, f, path, 0, 0)
		return n, 0, errors.Join(err, f.Close())
	case err == nil && !force:
		return 0, 0, fmt.Errorf("get: %s is there already: give another name with -o, or --force", output)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return 0, 0, fmt.Errorf("get: %w", err)
	}
	f, left, err := openPart(filepath.Dir(output), partName(cid))
	if err != nil {
		return 0, 0, fmt.Errorf("get: %w", err)
	}
	defer f.Close()
	whole := false
	if left {
		if kept, whole, err = p.checked(ctx, c, cid, f); err != nil {
			return 0, 0, err // ended by its caller: it stays as it was
		}
	}
	if n = kept; !whole {
		n, err = p.fill(ctx, c, f, path, kept)
	} else if err = f.Truncate(kept); err != nil {
		err = fmt.Errorf("get: %w", err)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		if err = os.Rename(f.Name(), output); err == nil {
			return n, kept, nil
		}
		err = fmt.Errorf("get: %w", err)
	}
	if n < worth {
		return n, kept, errors.Join(err, ignoreMissing(os.Remove(f.Name())))
	}
	if filepath.Base(f.Name()) == partName(cid) {
		err = fmt.Errorf("%w; %s are left in %s, the same get goes on from there", err, size(n), printable(f.Name()))
	} else {
		err = errors.Join(err, ignoreMissing(os.Remove(f.Name())))
	}
	return n, kept, err
}

// fill writes what path names to f, of which the first kept bytes are right.
func (p *program) fill(ctx context.Context, c *client.Client, f *os.File, path string, kept int64) (n int64, err error) {
	if err := errors.Join(f.Truncate(kept), seek(f, kept)); err != nil {
		return kept, fmt.Errorf("get: %w", err)
	}
	n, err = p.fetch(ctx, c, f, path, kept, 0)
	return kept + n, err
}

func seek(f *os.File, to int64) error {
	_, err := f.Seek(to, io.SeekStart)
	return err
}

// checked is right, said to whoever waits for it. It is an error only that the wait was ended.
func (p *program) checked(ctx context.Context, c *client.Client, cid cid.Cid, f io.ReaderAt) (n int64, whole bool, err error) {
	ctx, w, done := p.patience(ctx)
	defer done()
	m := p.meter()
	defer m.clear()
	n, whole = right(ctx, c, cid, f, func(n int64) {
		w.moved()
		m.show("%s are here and right", size(n))
	})
	if ctx.Err() != nil {
		err = cause(ctx)
	}
	return n, whole, err
}

// right is how many bytes of f, from its beginning on, are whole leaves of the file cid, and
// whether they are all of it. What cannot be told is not right.
func right(ctx context.Context, c *client.Client, of cid.Cid, f io.ReaderAt, moved func(n int64)) (n int64, whole bool) {
	var buf bytes.Buffer
	for l, err := range c.Leaves(ctx, of.String()) {
		if err != nil || l.CID.Type() != cid.Raw || l.Offset != n || l.Size < 0 || l.Size > blocks.MaxSize {
			return n, false
		}
		buf.Reset()
		if k, err := io.Copy(&buf, io.NewSectionReader(f, n, l.Size)); err != nil || k < l.Size {
			return n, false
		}
		if _, err := blocks.Check(l.CID, buf.Bytes()); err != nil {
			return n, false
		}
		n += l.Size
		moved(n)
	}
	return n, n > 0
}

// openPart opens name in dir and locks it; left says that it was there. What another get is
// writing, or is no plain file of this user's, is let alone: then another name is taken.
func openPart(dir, name string) (f *os.File, left bool, err error) {
	at := filepath.Join(dir, name)
	if info, err := os.Lstat(at); err == nil && info.Mode().IsRegular() && owned(info) {
		if f, err := os.OpenFile(at, os.O_RDWR, 0); err == nil {
			opened, err := f.Stat()
			now, gone := os.Lstat(at) // a get that had it may have ended just now
			if err == nil && gone == nil && os.SameFile(info, opened) && lockFile(f) && os.SameFile(now, opened) {
				return f, true, nil
			}
			_ = f.Close()
		}
	}
	f, err = os.OpenFile(at, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		at = filepath.Join(dir, ".cairn-"+rand.Text()[:10]+".part")
		f, err = os.OpenFile(at, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	}
	if err == nil && !lockFile(f) {
		err = errors.Join(fmt.Errorf("%s is locked", at), f.Close())
	}
	return f, false, err
}

// openPartDir makes name in parent, or opens and locks the one that is there, as [openPart] does.
// The file it gives is the directory.
func openPartDir(parent *os.Root, name string) (lock *os.File, left bool, err error) {
	if info, err := parent.Lstat(name); err == nil && info.IsDir() && owned(info) {
		if f, err := parent.Open(name); err == nil {
			opened, err := f.Stat()
			if err == nil && os.SameFile(info, opened) && lockFile(f) {
				return f, true, nil
			}
			_ = f.Close()
		}
	}
	err = parent.Mkdir(name, 0o777)
	if errors.Is(err, fs.ErrExist) {
		name = ".cairn-" + rand.Text()[:10] + ".part"
		err = parent.Mkdir(name, 0o777)
	}
	if err != nil {
		return nil, false, err
	}
	f, err := parent.Open(name)
	if err == nil && !lockFile(f) {
		err = errors.Join(fmt.Errorf("%s is locked", name), f.Close())
	}
	return f, false, err
}
