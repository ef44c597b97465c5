package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cairn-network/cairn/blocks"
	"github.com/gofrs/flock"
	"github.com/google/renameio/v2/maybe"
)

// version is the format that this package writes, and the newest that it reads.
const version = 1

// lockDir takes dir for this process, and writes who has it.
func lockDir(dir string) (*flock.Flock, error) {
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
	if err := os.WriteFile(path, fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		return nil, errors.Join(spaced(err), l.Unlock())
	}
	return l, nil
}

// unlock lets go. It leaves the file: a lock on a removed file locks nothing.
func unlock(l *flock.Flock) error {
	return errors.Join(os.Truncate(l.Path(), 0), l.Unlock())
}

// checkVersion reads the format of dir, and writes it into a new one.
func checkVersion(dir string) error {
	path := filepath.Join(dir, "version")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := maybe.WriteFile(path, fmt.Appendln(nil, version), 0o600); err != nil {
			return err
		}
		return syncPath(dir)
	}
	if err != nil {
		return err
	}
	switch got, err := strconv.Atoi(strings.TrimSpace(string(text))); {
	case err != nil || got < 1:
		return fmt.Errorf("%s holds %.20q, want a number", path, text)
	case got > version:
		return &blocks.NewerError{Dir: dir, Version: got}
	}
	return nil
}

// syncPath puts a file, or the entries of a directory, on the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// spaced makes an error that means a full disk one for which
// errors.Is(err, blocks.ErrFull) holds.
func spaced(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", blocks.ErrFull, err)
	}
	return err
}
