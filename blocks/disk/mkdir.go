package disk

import (
	"errors"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// makeDir makes dir and those above it, and puts their names on the disk: else
// a power cut would take the store with all that is in it. The name of dir is
// synced even if it is there, since who made it may have been killed.
func makeDir(fsys vfs.FS, dir string, readOnly bool) error {
	fresh := []string{dir} // the innermost first
	for {
		above := fsys.PathDir(fresh[len(fresh)-1])
		if _, err := fsys.Stat(above); err == nil || above == fresh[len(fresh)-1] {
			break
		}
		fresh = append(fresh, above)
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil || readOnly {
		return err
	}
	for i := len(fresh) - 1; i >= 0; i-- {
		err := syncDir(fsys, fsys.PathDir(fresh[i]))
		if errors.Is(err, fs.ErrPermission) && len(fresh) == 1 {
			return nil // somebody else made dir for us
		}
		if err != nil {
			return err
		}
	}
	return nil
}
