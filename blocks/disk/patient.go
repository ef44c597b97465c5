package disk

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// patient is the file system of the database. Pebble has no way back from a
// MANIFEST that it cannot write or a directory that it cannot sync, so what
// concerns these is tried until it works: pebble holds no lock then that reading
// or writing needs, what is new waits in memory, and on a disk that is full for a
// while the index merely stays behind the log. While the database is opened, an
// error is an error. Once the index has failed nothing of the abandoned database
// reaches the disk any more, where another may have the same files.
//
// There is no lock: the directory is locked already, and one could not be let go
// of after a fatal.
type patient struct {
	vfs.FS
	x *index
}

const patientPause = 50 * time.Millisecond // between two tries

// persist does what must not fail until it does not, or the index is closed.
func (p patient) persist(do func() error) error {
	for {
		err := p.check()
		if err == nil {
			err = do()
		}
		if err == nil || !p.x.opened.Load() {
			return err
		}
		p.x.ails(err)
		if p.x.failed.Load() != nil || p.x.closing.Load() {
			p.x.fail(&fatal{text: err.Error(), cause: err})
			runtime.Goexit() // one of pebble's, which cannot go on
		}
		time.Sleep(patientPause)
	}
}

// check answers why the database may touch nothing any more.
func (p patient) check() error {
	if f := p.x.failed.Load(); f != nil {
		return f
	}
	return nil
}

// vital reports whether pebble takes no error of what is done to name.
func (p patient) vital(name string) bool {
	base := p.PathBase(name)
	return strings.HasPrefix(base, "MANIFEST-") || strings.HasPrefix(base, "marker.")
}

func (p patient) Create(name string, c vfs.DiskWriteCategory) (f vfs.File, err error) {
	create := func() (err error) {
		f, err = p.FS.Create(name, c)
		return err
	}
	if p.vital(name) {
		if err := p.persist(create); err != nil {
			return nil, err
		}
		return &vitalFile{File: f, fs: p}, nil
	}
	if err = p.check(); err == nil {
		err = create()
	}
	if err != nil {
		return nil, err
	}
	return tableFile{f, p}, nil
}

func (p patient) OpenDir(name string) (vfs.File, error) {
	f, err := p.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return vitalDir{f, p}, nil
}

func (p patient) Remove(name string) error {
	if err := p.check(); err != nil {
		return err
	}
	return p.FS.Remove(name)
}

func (p patient) Rename(oldname, newname string) error {
	if err := p.check(); err != nil {
		return err
	}
	return p.FS.Rename(oldname, newname)
}

func (p patient) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (p patient) Unwrap() vfs.FS { return p.FS }

// tableFile is a file that pebble can do without.
type tableFile struct {
	vfs.File
	fs patient
}

func (f tableFile) Write(b []byte) (int, error) {
	if err := f.fs.check(); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// vitalDir is the directory.
type vitalDir struct {
	vfs.File
	fs patient
}

func (d vitalDir) Sync() error { return d.fs.persist(d.File.Sync) }

// vitalFile is a file that pebble cannot do without. It remembers what is not on
// the disk for sure: after a sync that failed the system may have dropped it, and
// the next sync would find nothing to complain of.
type vitalFile struct {
	vfs.File
	fs    patient
	end   int64
	fresh []byte // what was written before end since the last sync
}

func (f *vitalFile) Write(b []byte) (n int, err error) {
	err = f.fs.persist(func() error {
		k, err := f.File.Write(b[n:])
		f.fresh = append(f.fresh, b[n:n+k]...)
		f.end += int64(k)
		n += k
		return err
	})
	return n, err
}

func (f *vitalFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *vitalFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *vitalFile) sync(do func() error) error {
	lost := false
	return f.fs.persist(func() error {
		if lost {
			if _, err := f.WriteAt(f.fresh, f.end-int64(len(f.fresh))); err != nil {
				return fmt.Errorf("write again what a sync has lost: %w", err)
			}
		}
		if err := do(); err != nil {
			lost = true
			return err
		}
		f.fresh = f.fresh[:0]
		return nil
	})
}

// SyncTo does nothing, as it may.
func (f *vitalFile) SyncTo(int64) (bool, error) { return false, nil }

// Close says nothing of an error: what counts was synced.
func (f *vitalFile) Close() error {
	_ = f.File.Close()
	return nil
}
