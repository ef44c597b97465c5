package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/gofrs/flock"
)

// version is the format that this package writes, and the newest that it reads.
const version = 2

// lockDir takes dir for this process, and writes who has it. What it answers
// lets go. It leaves the file: a lock on a removed file locks nothing. Where
// nothing can be written and nothing is to be, it does not say who has it.
func lockDir(fs vfs.FS, dir string, readOnly bool) (unlock func() error, err error) {
	if vfs.Root(fs) != vfs.Default {
		l, err := fs.Lock(fs.PathJoin(dir, "lock"))
		if err != nil {
			return nil, err
		}
		return l.Close, nil
	}
	path := filepath.Join(dir, "lock")
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, err
	}
	if !ok {
		text, _ := os.ReadFile(path) // unreadable or empty: PID 0
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, &blocks.LockedError{Dir: dir, PID: pid}
	}
	switch err := os.WriteFile(path, fmt.Appendln(nil, os.Getpid()), 0o600); {
	case readOnly && errors.Is(err, syscall.EROFS):
		return l.Unlock, nil
	case err != nil && !errors.Is(err, syscall.ENOSPC):
		return nil, errors.Join(spaced(err), l.Unlock())
	}
	return func() error { return errors.Join(os.Truncate(path, 0), l.Unlock()) }, nil
}

// checkVersion answers the format of dir, and writes it into a new one.
func checkVersion(fsys vfs.FS, dir string, readOnly bool) (int, error) {
	path := fsys.PathJoin(dir, "version")
	text, err := readFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		if readOnly {
			return 0, fmt.Errorf("there is no store in %s: %w", dir, err)
		}
		return version, writeVersion(fsys, dir)
	}
	if err != nil {
		return 0, err
	}
	got, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil || got < 1:
		return 0, fmt.Errorf("%s holds %.20q, want a number", path, text)
	case got > version:
		return 0, &blocks.NewerError{Dir: dir, Version: got}
	case got < version && readOnly:
		return 0, fmt.Errorf("%s has format %d: the next start of the daemon brings it forward", dir, got)
	}
	return got, nil
}

// writeVersion says that dir has this package's format: all of it, or not yet.
func writeVersion(fsys vfs.FS, dir string) error {
	path := fsys.PathJoin(dir, "version")
	f, err := create(fsys, path+".new")
	if err != nil {
		return err
	}
	_, err = f.Write(fmt.Appendln(nil, version))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// create makes a file that only its owner may read, where the system knows owners.
func create(fsys vfs.FS, path string) (vfs.File, error) {
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil && vfs.Root(fsys) == vfs.Default {
		err = os.Chmod(path, 0o600)
	}
	return f, err
}

const maxFile = 16 << 20 // bytes that readFile reads at most

func readFile(fsys vfs.FS, path string) (data []byte, err error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// syncDir puts the entries of a directory on the disk.
func syncDir(fsys vfs.FS, path string) error {
	d, err := fsys.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// spaced makes an error that means a full disk one for which
// errors.Is(err, blocks.ErrFull) holds.
func spaced(err error) error {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	if full && !errors.Is(err, blocks.ErrFull) {
		return fmt.Errorf("%w: %w", blocks.ErrFull, err)
	}
	return err
}
