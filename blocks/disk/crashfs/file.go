package crashfs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is an open file of a Disk. Its fields are guarded by the disk's mu.
type file struct {
	d        *Disk
	ino      int
	name     string
	writable bool
	pos      int64
	closed   bool
}

func (f *file) do(what string, g func(n *inode) error) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.closed {
		return failed(what, f.name, fs.ErrClosed)
	}
	err := g(f.d.state.inodes[f.ino])
	if err == io.EOF { // says itself what it means
		return err
	}
	return failed(what, f.name, err)
}

func (f *file) Close() error {
	return f.do("close", func(*inode) error { f.closed = true; return nil })
}

func (f *file) Read(p []byte) (n int, err error) {
	err = f.do("read", func(i *inode) error {
		n, err = readAt(i, p, f.pos)
		f.pos += int64(n)
		if n > 0 {
			return nil
		}
		return err
	})
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.do("read", func(i *inode) error {
		n, err = readAt(i, p, off)
		return err
	})
	return n, err
}

func readAt(i *inode, p []byte, off int64) (int, error) {
	if i.dir() {
		return 0, syscall.EISDIR
	}
	if off < 0 {
		return 0, syscall.EINVAL
	}
	n := 0
	if off < int64(len(i.data)) {
		n = copy(p, i.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Write(p []byte) (n int, err error) {
	err = f.do("write", func(*inode) error {
		n, err = f.writeAt(p, f.pos)
		f.pos += int64(n)
		return err
	})
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.do("write", func(*inode) error {
		n, err = f.writeAt(p, off)
		return err
	})
	return n, err
}

// writeAt writes what there is room for.
func (f *file) writeAt(p []byte, off int64) (int, error) {
	if !f.writable {
		return 0, syscall.EBADF
	}
	p, full := f.d.fits(f.d.state.inodes[f.ino], p, off)
	if len(p) > 0 {
		f.d.do(op{kind: write, ino: f.ino, off: off, data: bytes.Clone(p)})
	}
	if full {
		return len(p), syscall.ENOSPC
	}
	return len(p), nil
}

// fits cuts p to what the disk has room for.
func (d *Disk) fits(n *inode, p []byte, off int64) (_ []byte, full bool) {
	if d.size == 0 {
		return p, false
	}
	free, have := (d.size-d.state.space())/page, int64(len(n.data)+page-1)/page
	for q := off / page; q*page < off+int64(len(p)); q++ {
		if q < have && !n.holes[q] {
			continue
		}
		if free--; free < 0 {
			return p[:max(q*page-off, 0)], true
		}
	}
	return p, false
}

// Truncate cuts or lengthens the file to size bytes.
func (f *file) Truncate(size int64) error {
	return f.do("truncate", func(*inode) error {
		if !f.writable || size < 0 {
			return syscall.EINVAL
		}
		f.d.do(op{kind: cut, ino: f.ino, off: size})
		return nil
	})
}

// PunchHole makes n bytes from off zeros that take no space, in whole pages.
func (f *file) PunchHole(off, n int64) error {
	return f.do("punch", func(*inode) error {
		if !f.writable || off < 0 || n < 0 {
			return syscall.EINVAL
		}
		f.d.do(op{kind: punch, ino: f.ino, off: off, n: n})
		return nil
	})
}

func (f *file) Sync() error {
	return f.do("sync", func(*inode) error {
		f.d.do(op{kind: sync, ino: f.ino})
		return nil
	})
}

func (f *file) SyncData() error { return f.Sync() }

// SyncTo promises nothing, as its contract allows.
func (f *file) SyncTo(int64) (fullSync bool, err error) { return false, nil }

func (f *file) Stat() (out vfs.FileInfo, err error) {
	err = f.do("stat", func(*inode) error {
		out = f.d.info(f.ino, f.name)
		return nil
	})
	return out, err
}

func (f *file) Preallocate(_, _ int64) error    { return nil }
func (f *file) Prefetch(_ int64, _ int64) error { return nil }
func (f *file) Fd() uintptr                     { return vfs.InvalidFd }
func (f *file) String() string                  { return fmt.Sprintf("crashfs:%s", f.name) }
