package crashfs

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
)

type faultyFile struct {
	vfs.File
	fs   *Faulty
	name string
}

func (f *faultyFile) Fd() uintptr { return vfs.InvalidFd }

func (f *faultyFile) Read(p []byte) (int, error) {
	if err := f.fs.fail("read", f.name, len(p)); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.fail("read", f.name, len(p)); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) Write(p []byte) (int, error) { return f.write(p, f.File.Write) }

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	return f.write(p, func(p []byte) (int, error) { return f.File.WriteAt(p, off) })
}

func (f *faultyFile) write(p []byte, do func([]byte) (int, error)) (int, error) {
	err := f.fs.fail("write", f.name, len(p))
	var half *short
	switch {
	case err == nil:
		return do(p)
	case errors.Is(err, ErrLie):
		return len(p), nil
	case errors.As(err, &half):
		n, err2 := do(p[:len(p)/2])
		return n, errors.Join(err, err2)
	}
	return 0, err
}

func (f *faultyFile) Sync() error     { return f.change("sync", f.File.Sync) }
func (f *faultyFile) SyncData() error { return f.change("sync", f.File.SyncData) }

// SyncTo promises nothing, so that a sync must come through Sync.
func (f *faultyFile) SyncTo(int64) (bool, error) { return false, nil }

// Truncate cuts or lengthens the file, if the one below can.
func (f *faultyFile) Truncate(size int64) error {
	return f.change("truncate", func() error {
		if t, ok := f.File.(interface{ Truncate(int64) error }); ok {
			return t.Truncate(size)
		}
		return errors.ErrUnsupported
	})
}

// PunchHole makes a hole, if the file below can.
func (f *faultyFile) PunchHole(off, n int64) error {
	return f.change("punch", func() error {
		if p, ok := f.File.(interface{ PunchHole(off, n int64) error }); ok {
			return p.PunchHole(off, n)
		}
		return errors.ErrUnsupported
	})
}

func (f *faultyFile) change(op string, do func() error) error {
	switch err := f.fs.fail(op, f.name, 0); {
	case err == nil:
		return do()
	case errors.Is(err, ErrLie):
		return nil
	default:
		return err
	}
}
