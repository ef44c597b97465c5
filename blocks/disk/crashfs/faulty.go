package crashfs

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrLie is what Fail answers to have an operation say that it was done, and
// not do it. It serves for sync, write, truncate and punch.
var ErrLie = errors.New("crashfs: say it was done")

// Short is what Fail answers to have the first half of a write done, and then err.
func Short(err error) error { return &short{err} }

type short struct{ err error }

func (s *short) Error() string { return "half written: " + s.err.Error() }
func (s *short) Unwrap() error { return s.err }

// Faulty is a file system that fails when Fail says so; nil never does. It is
// asked before each operation with its name (create, open, read, write, sync,
// truncate, punch, rename, link, remove, mkdir, lock, list, stat, usage), the
// name of the file, and how many bytes would be read or written; the operation
// then fails with what Fail answered. Fail is called by many goroutines at once.
// No file of it has a descriptor, so nothing goes past it.
type Faulty struct {
	vfs.FS
	Fail func(op, name string, n int) error
}

// Nth fails the n-th of the operations named op, from 1, and none else.
func Nth(op string, n int64, err error) func(string, string, int) error {
	var seen atomic.Int64
	return func(o, _ string, _ int) error {
		if o == op && seen.Add(1) == n {
			return err
		}
		return nil
	}
}

// FullAfter fails writes with ENOSPC once n bytes were written, the first of
// them half done.
func FullAfter(n int64) func(string, string, int) error {
	var done atomic.Int64
	return func(op, _ string, k int) error {
		if op != "write" || done.Add(int64(k)) <= n {
			return nil
		}
		return Short(syscall.ENOSPC)
	}
}

// ReadOnly fails whatever changes something with EROFS; a lock changes nothing.
func ReadOnly(op, _ string, _ int) error {
	switch op {
	case "open", "read", "list", "stat", "usage", "lock":
		return nil
	}
	return syscall.EROFS
}

// NoSync makes every sync a lie.
func NoSync(op, _ string, _ int) error {
	if op == "sync" {
		return ErrLie
	}
	return nil
}

// FailSync fails the n-th sync, from 1, as Linux does: what was not on the disk
// is gone, and the next sync finds nothing to complain of. d is the disk below.
func FailSync(d *Disk, n int64) func(string, string, int) error {
	nth := Nth("sync", n, syscall.EIO)
	return func(op, name string, k int) error {
		err := nth(op, name, k)
		if err != nil {
			err = errors.Join(err, d.Forget(name))
		}
		return err
	}
}

func (f *Faulty) fail(op, name string, n int) error {
	if f.Fail == nil {
		return nil
	}
	return failed(op, name, f.Fail(op, name, n))
}

func (f *Faulty) file(op, name string, open func() (vfs.File, error)) (vfs.File, error) {
	if err := f.fail(op, name, 0); err != nil {
		return nil, err
	}
	inner, err := open()
	if err != nil {
		return nil, err
	}
	return &faultyFile{inner, f, name}, nil
}

// Create, Open and the others are those of [vfs.FS].
func (f *Faulty) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("create", name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *Faulty) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.file("open", name, func() (vfs.File, error) { return f.FS.Open(name, opts...) })
}

func (f *Faulty) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.file("create", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

func (f *Faulty) OpenDir(name string) (vfs.File, error) {
	return f.file("open", name, func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f *Faulty) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("rename", newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, c) })
}

func (f *Faulty) Link(oldname, newname string) error {
	if err := f.fail("link", newname, 0); err != nil {
		return err
	}
	return f.FS.Link(oldname, newname)
}

func (f *Faulty) Remove(name string) error {
	if err := f.fail("remove", name, 0); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *Faulty) RemoveAll(name string) error {
	if err := f.fail("remove", name, 0); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

func (f *Faulty) Rename(oldname, newname string) error {
	if err := f.fail("rename", newname, 0); err != nil {
		return err
	}
	return f.FS.Rename(oldname, newname)
}

func (f *Faulty) MkdirAll(dir string, perm os.FileMode) error {
	if _, err := f.FS.Stat(dir); err == nil {
		return f.FS.MkdirAll(dir, perm) // changes nothing
	}
	if err := f.fail("mkdir", dir, 0); err != nil {
		return err
	}
	return f.FS.MkdirAll(dir, perm)
}

func (f *Faulty) Lock(name string) (io.Closer, error) {
	if err := f.fail("lock", name, 0); err != nil {
		return nil, err
	}
	return f.FS.Lock(name)
}

func (f *Faulty) List(dir string) ([]string, error) {
	if err := f.fail("list", dir, 0); err != nil {
		return nil, err
	}
	return f.FS.List(dir)
}

func (f *Faulty) Stat(name string) (vfs.FileInfo, error) {
	if err := f.fail("stat", name, 0); err != nil {
		return nil, err
	}
	return f.FS.Stat(name)
}

func (f *Faulty) GetDiskUsage(p string) (vfs.DiskUsage, error) {
	if err := f.fail("usage", p, 0); err != nil {
		return vfs.DiskUsage{}, err
	}
	return f.FS.GetDiskUsage(p)
}

// Unwrap gives the file system below.
func (f *Faulty) Unwrap() vfs.FS { return f.FS }
