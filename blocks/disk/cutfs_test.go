package disk_test

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var errCut = errors.New("the process is no more")

// cutFS lets so many changes through and then none, as if the process had been
// killed. What was changed is there.
type cutFS struct {
	vfs.FS
	n     atomic.Int64
	limit int64
}

func (c *cutFS) step() error {
	if c.n.Add(1) > c.limit {
		return errCut
	}
	return nil
}

func (c *cutFS) Unwrap() vfs.FS { return c.FS }

func (c *cutFS) Create(name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	f, err := c.FS.Create(name, k)
	return c.file(f, err)
}

func (c *cutFS) OpenReadWrite(name string, k vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	f, err := c.FS.OpenReadWrite(name, k, o...)
	return c.file(f, err)
}

func (c *cutFS) Remove(name string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.FS.Remove(name)
}

func (c *cutFS) RemoveAll(name string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.FS.RemoveAll(name)
}

func (c *cutFS) Rename(from, to string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.FS.Rename(from, to)
}

func (c *cutFS) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &cutFile{f, c}, nil
}

type cutFile struct {
	vfs.File
	c *cutFS
}

func (f *cutFile) Write(b []byte) (int, error) {
	if err := f.c.step(); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f *cutFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.c.step(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f *cutFile) Sync() error {
	if err := f.c.step(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *cutFile) SyncData() error {
	if err := f.c.step(); err != nil {
		return err
	}
	return f.File.SyncData()
}
