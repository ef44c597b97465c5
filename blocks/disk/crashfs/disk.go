package crashfs

import (
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	gosync "sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is a file system in memory with a tape of all that was done to it. Any
// number of goroutines may use it; the tape puts their operations in one order.
// Its files can also do what those of the operating system can and [vfs.File]
// does not name: Truncate(size) and PunchHole(offset, length), in bytes.
type Disk struct {
	mu    gosync.Mutex
	base  *state          // how it began
	state *state          // how it is; guarded by mu
	tape  []op            // from base to state; guarded by mu
	locks map[string]bool // guarded by mu; a crash lets go of them
	size  int64           // guarded by mu; bytes, 0 is no limit
}

var _ vfs.FS = (*Disk)(nil)

// New makes an empty disk without a limit.
func New() *Disk { return newDisk(newState()) }

func newDisk(s *state) *Disk {
	return &Disk{base: s.clone(), state: s, locks: map[string]bool{}}
}

// clone copies what programs see of s, as something that is all on the disk.
func (s *state) clone() *state {
	c := &state{inodes: make(map[int]*inode, len(s.inodes)), next: s.next}
	var down func(i int)
	down = func(i int) {
		n := s.inodes[i]
		if c.inodes[i] != nil {
			return
		}
		if !n.dir() {
			n.shared = true
			c.inodes[i] = &inode{data: n.data, disk: n.data, shared: true, holes: maps.Clone(n.holes)}
			return
		}
		m := newDir()
		c.inodes[i] = m
		for name, j := range n.names {
			m.names[name], m.diskNames[name] = j, j
			down(j)
		}
	}
	down(root)
	return c
}

// Resize makes the disk one of size bytes, in pages of 4 KiB; 0 is no limit.
func (d *Disk) Resize(size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size = size
}

// Len is how many operations are on the tape. What was acknowledged when it was
// n must be there after every crash at n or later.
func (d *Disk) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tape)
}

// Used is how many bytes the files on the disk take, in pages of 4 KiB.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.space()
}

// Forget takes back what was written to the file and not synced, as a kernel
// does whose write-back failed.
func (d *Disk) Forget(name string) error {
	return d.at("forget", name, func(i int) error {
		d.do(op{kind: revert, ino: i})
		return nil
	})
}

// do puts o on the tape and does it. It is called with d.mu held.
func (d *Disk) do(o op) {
	o.at = len(d.tape)
	d.tape = append(d.tape, o)
	d.state.apply(o)
}

// find gives the inode of a name, 0 when there is none, and where its entry is
// or would be. It is called with d.mu held.
func (d *Disk) find(name string) (i int, at entry, err error) {
	i = root
	parts := strings.FieldsFunc(filepath.ToSlash(filepath.Clean(name)), func(r rune) bool { return r == '/' })
	for k, p := range parts {
		if p == "." {
			continue
		}
		n := d.state.inodes[i]
		if !n.dir() {
			return 0, entry{}, syscall.ENOTDIR
		}
		at = entry{dir: i, name: p, ino: n.names[p]}
		if i = at.ino; i == 0 && k < len(parts)-1 {
			return 0, entry{}, syscall.ENOENT
		}
	}
	return i, at, nil
}

// at calls f with the inode of name, which must be there, holding d.mu.
func (d *Disk) at(what, name string, f func(i int) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, _, err := d.find(name)
	if err == nil && i == 0 {
		err = syscall.ENOENT
	}
	if err == nil {
		err = f(i)
	}
	return failed(what, name, err)
}

func failed(what, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: what, Path: name, Err: err}
}

// enter names an inode, a new one for ino 0, and answers which it is.
func (d *Disk) enter(at entry, ino int) int {
	if ino == 0 {
		ino = d.state.next
		d.state.next++
	}
	d.do(op{kind: names, entries: []entry{{at.dir, at.name, ino}}})
	return ino
}

func (d *Disk) open(what, name string, create, exclusive, writable bool) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, at, err := d.find(name)
	switch {
	case err != nil:
		return nil, failed(what, name, err)
	case i != 0 && d.state.inodes[i].dir() && writable:
		return nil, failed(what, name, syscall.EISDIR)
	case i == 0 && !create:
		return nil, failed(what, name, syscall.ENOENT)
	case i == 0 || exclusive:
		i = d.enter(at, 0)
	}
	return &file{d: d, ino: i, name: name, writable: writable}, nil
}

// Create makes a file; one that is there under the name loses it.
func (d *Disk) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open("create", name, true, true, true)
}

// Open opens a file for reading, or a directory.
func (d *Disk) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.open("open", name, false, false, false)
	return optioned(f, err, opts)
}

// OpenReadWrite opens a file, and makes it if there is none.
func (d *Disk) OpenReadWrite(name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.open("open", name, true, false, true)
	return optioned(f, err, opts)
}

func optioned(f vfs.File, err error, opts []vfs.OpenOption) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	for _, o := range opts {
		o.Apply(f)
	}
	return f, nil
}

// OpenDir opens a directory for syncing.
func (d *Disk) OpenDir(name string) (vfs.File, error) { return d.Open(name) }

// Link gives a file a second name.
func (d *Disk) Link(oldname, newname string) error {
	return d.at("link", oldname, func(i int) error {
		j, at, err := d.find(newname)
		if err == nil && j != 0 {
			err = syscall.EEXIST
		}
		if err == nil {
			d.enter(at, i)
		}
		return err
	})
}

// Remove removes a file, or a directory that is empty.
func (d *Disk) Remove(name string) error {
	return d.at("remove", name, func(i int) error {
		if len(d.state.inodes[i].names) > 0 {
			return syscall.ENOTEMPTY
		}
		return d.remove(name)
	})
}

func (d *Disk) remove(name string) error {
	_, at, err := d.find(name)
	if err != nil || at.dir == 0 {
		return syscall.EINVAL
	}
	d.do(op{kind: names, entries: []entry{{at.dir, at.name, 0}}})
	return nil
}

// RemoveAll removes what is there under name, if anything, one entry after another.
func (d *Disk) RemoveAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return failed("remove", name, d.removeAll(name))
}

func (d *Disk) removeAll(name string) error {
	i, _, err := d.find(name)
	if err != nil || i == 0 {
		return nil
	}
	for _, child := range sorted(d.state.inodes[i].names) {
		if err := d.removeAll(path.Join(name, child)); err != nil {
			return err
		}
	}
	return d.remove(name)
}

// Rename gives a file another name, and whoever had that loses it.
func (d *Disk) Rename(oldname, newname string) error {
	return d.at("rename", oldname, func(i int) error {
		_, from, _ := d.find(oldname)
		_, to, err := d.find(newname)
		if err == nil && from != to {
			d.do(op{kind: names, entries: []entry{{from.dir, from.name, 0}, {to.dir, to.name, i}}})
		}
		return err
	})
}

// ReuseForWrite renames a file and opens it as it is.
func (d *Disk) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return d.OpenReadWrite(newname, c)
}

// MkdirAll makes a directory and those above it.
func (d *Disk) MkdirAll(dir string, _ os.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := ""
	for p := range strings.SplitSeq(filepath.ToSlash(filepath.Clean(dir)), "/") {
		name += "/" + p
		i, at, err := d.find(name)
		if err != nil || i != 0 && !d.state.inodes[i].dir() {
			return failed("mkdir", dir, syscall.ENOTDIR)
		}
		if i == 0 {
			i = d.state.next
			d.state.next++
			d.do(op{kind: mkdir, entries: []entry{{at.dir, at.name, i}}})
		}
	}
	return nil
}

// Lock takes the file for its caller.
func (d *Disk) Lock(name string) (io.Closer, error) {
	f, err := d.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locks[filepath.Clean(name)] {
		return nil, failed("lock", name, syscall.EAGAIN)
	}
	d.locks[filepath.Clean(name)] = true
	return &lock{d, filepath.Clean(name), f}, nil
}

type lock struct {
	d    *Disk
	name string
	vfs.File
}

func (l *lock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	delete(l.d.locks, l.name)
	return nil
}

// List gives the names in a directory, in order.
func (d *Disk) List(dir string) (out []string, err error) {
	err = d.at("list", dir, func(i int) error {
		if !d.state.inodes[i].dir() {
			return syscall.ENOTDIR
		}
		out = sorted(d.state.inodes[i].names)
		return nil
	})
	return out, err
}

func sorted(names map[string]int) (out []string) {
	for name := range names {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Stat describes a file.
func (d *Disk) Stat(name string) (out vfs.FileInfo, err error) {
	err = d.at("stat", name, func(i int) error {
		out = d.info(i, name)
		return nil
	})
	return out, err
}

func (d *Disk) info(i int, name string) vfs.FileInfo {
	n := d.state.inodes[i]
	return info{name: path.Base(filepath.ToSlash(name)), size: int64(len(n.data)), dir: n.dir()}
}

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) ModTime() time.Time     { return time.Time{} }
func (i info) IsDir() bool            { return i.dir }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

// PathBase, PathJoin and PathDir are those of path/filepath.
func (d *Disk) PathBase(p string) string       { return filepath.Base(p) }
func (d *Disk) PathJoin(elem ...string) string { return filepath.Join(elem...) }
func (d *Disk) PathDir(p string) string        { return filepath.Dir(p) }

// GetDiskUsage tells of the limit, or of 1 TiB.
func (d *Disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	total, used := d.size, d.state.space()
	if total == 0 {
		total = 1 << 40
	}
	return vfs.DiskUsage{AvailBytes: uint64(max(total-used, 0)), TotalBytes: uint64(total), UsedBytes: uint64(used)}, nil
}

// Unwrap says that nothing is below.
func (d *Disk) Unwrap() vfs.FS { return nil }
