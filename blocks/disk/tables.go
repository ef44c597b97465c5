package disk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// checkTables reads every table of the database in dir and checks its sums, so
// that an index that has rotted is found when it can still be made anew.
func checkTables(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		if err := checkTable(fs, fs.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("index: table %s: %w", name, err)
		}
	}
	return nil
}

func checkTable(fs vfs.FS, path string) (err error) {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	r, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	t, err := sstable.NewReader(context.Background(), r, sstable.ReaderOptions{})
	if err != nil {
		return errors.Join(err, r.Close())
	}
	return errors.Join(t.ValidateBlockChecksums(), t.Close())
}
