package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2/maybe"
	"github.com/ipfs/go-cid"
)

// ledge is the file in which the root of the mutable files stands, beside the requests of
// /psa; in the directory "" nothing is kept.
type ledge struct{ dir string }

// noted is what stands there.
type noted struct {
	Root cid.Cid  // Undef: there was no change ever
	Pins []placed // that were made for it, the oldest first, and have not been taken back
}

// placed is a pin of a root of before, or of now.
type placed struct {
	Root cid.Cid `json:"root"`
	Safe bool    `json:"safe"` // it had its quorum of copies
}

// written is noted as it is written.
type written struct {
	Root string   `json:"root"`
	Pins []placed `json:"pins"`
}

// maxLedge is more than the file ever has, in bytes.
const maxLedge = 1 << 20

func (l ledge) file() string { return filepath.Join(l.dir, "mutable-files") }

// save writes is, whole or not at all; nil is on the disk.
func (l ledge) save(is noted) error {
	if l.dir == "" {
		return nil
	}
	data, err := json.Marshal(written{text(is.Root), is.Pins})
	if err == nil {
		err = os.MkdirAll(l.dir, 0o700)
	}
	if err == nil {
		err = replace(l.dir, func() error { return maybe.WriteFile(l.file(), data, 0o600) })
	}
	if err != nil {
		return fmt.Errorf("rpc: the root of the mutable files is not written down: %w", err)
	}
	return nil
}

func text(c cid.Cid) string {
	if !c.Defined() {
		return ""
	}
	return c.String()
}

// replace does rename, and makes what it has renamed in dir outlive a power cut. The directory
// is opened first: when there are too many open files nothing has been renamed yet.
func replace(dir string, rename func() error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err = rename(); err == nil {
		err = d.Sync()
	}
	return errors.Join(err, d.Close())
}

// load reads what stands there.
func (l ledge) load() (is noted, err error) {
	if l.dir == "" {
		return is, nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("rpc: the mutable files: %s: %w", l.file(), err)
		}
	}()
	f, err := os.Open(l.file())
	if errors.Is(err, fs.ErrNotExist) {
		return is, nil
	}
	if err != nil {
		return is, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLedge+1))
	if err != nil {
		return is, err
	}
	if len(data) > maxLedge {
		return is, fmt.Errorf("more than %d bytes", maxLedge)
	}
	var w written
	if err := json.Unmarshal(data, &w); err != nil {
		return is, err
	}
	if is.Pins = w.Pins; w.Root != "" {
		is.Root, err = cid.Decode(w.Root)
	}
	return is, err
}
