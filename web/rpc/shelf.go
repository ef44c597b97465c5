package rpc

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2/maybe"
	"github.com/ipfs/go-cid"
)

// shelf is the directory in which the requests of /psa stand, a file each, written whole or
// not at all; "" keeps none.
type shelf struct {
	dir string
	log *slog.Logger
}

// shelved is how a request is written.
type shelved struct {
	Request PinRequest `json:"request"`
	Created time.Time  `json:"created"`
	Status  string     `json:"status"` // queued, pinned or failed
	Why     string     `json:"why,omitempty"`
}

const shelfEnd = ".json"

// file is where the request for root stands: CIDs differ in case, and may be long.
func (s shelf) file(root cid.Cid) string {
	sum := sha256.Sum256(root.Bytes())
	return filepath.Join(s.dir, hex.EncodeToString(sum[:16])+shelfEnd)
}

// put writes one, whose fields must not change meanwhile.
func (s shelf) put(one *job) error {
	if s.dir == "" {
		return nil
	}
	data, err := json.Marshal(shelved{one.ask, one.made, one.status, one.info["status_details"]})
	if err == nil {
		err = os.MkdirAll(s.dir, 0o700)
	}
	if err == nil {
		err = maybe.WriteFile(s.file(one.root), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("rpc: a request is not written down: %w", err)
	}
	return nil
}

// drop forgets the request for root. That it cannot be is told in the log: it comes back
// after a restart.
func (s shelf) drop(root cid.Cid) {
	if s.dir == "" {
		return
	}
	if err := os.Remove(s.file(root)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("a request of the pinning service is not forgotten", "root", root, "err", err)
	}
}

// load reads all requests. One that cannot be read stays where it is and is told of.
func (s shelf) load() (all []*job) {
	if s.dir == "" {
		return nil
	}
	files, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("requests of the pinning service are not read", "err", err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), shelfEnd) {
			continue // what a write left that was cut off
		}
		one, err := s.read(f)
		if err != nil {
			s.log.Warn("a request of the pinning service is not read", "file", f.Name(), "err", err)
			continue
		}
		all = append(all, one)
	}
	return all
}

func (s shelf) read(f fs.DirEntry) (*job, error) {
	info, err := f.Info()
	if err != nil {
		return nil, err
	}
	if info.Size() > 2*maxRequest {
		return nil, fmt.Errorf("%d bytes, limit %d", info.Size(), 2*maxRequest)
	}
	data, err := os.ReadFile(filepath.Join(s.dir, f.Name()))
	if err != nil {
		return nil, err
	}
	var is shelved
	if err := json.Unmarshal(data, &is); err != nil {
		return nil, err
	}
	root, err := cid.Decode(is.Request.CID)
	if err != nil {
		return nil, err
	}
	one := &job{root: root, ask: is.Request, made: is.Created, status: is.Status, ended: make(chan struct{})}
	switch is.Status {
	case pinned:
	case failed:
		one.info = map[string]string{"status_details": is.Why}
	case queued:
		return one, nil
	default:
		return nil, fmt.Errorf("status %q", is.Status)
	}
	close(one.ended)
	return one, nil
}
