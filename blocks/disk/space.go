package disk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// usage is how the disk stands; of a file system that does not say, all is free.
func (s *Store) usage() (vfs.DiskUsage, error) {
	u, err := s.cfg.FS.GetDiskUsage(s.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return vfs.DiskUsage{AvailBytes: math.MaxInt64, TotalBytes: math.MaxInt64}, nil
	}
	return u, err
}

// room answers ErrFull unless n bytes of the disk are free.
func (s *Store) room(n int64) error {
	u, err := s.usage()
	if err != nil {
		return err
	}
	if u.AvailBytes < uint64(n) {
		return fmt.Errorf("%w: %d bytes free on the disk of %s, want %d", blocks.ErrFull, u.AvailBytes, s.dir, n)
	}
	if s.reserve.spent() && u.AvailBytes > uint64(n)+2*uint64(s.cfg.Reserve) {
		s.makeReserve()
	}
	return nil
}

// Free is how many bytes of the disk are free, the reserve not counted.
func (s *Store) Free() (int64, error) {
	u, err := s.usage()
	if err != nil {
		return 0, fmt.Errorf("disk: free space of %s: %w", s.dir, err)
	}
	return max(int64(min(u.AvailBytes, math.MaxInt64))-s.cfg.Reserve, 0), nil
}

// reserve is a file that is given up when the disk is full.
type reserve struct {
	mu   sync.Mutex
	here bool // guarded by mu
	gone bool // guarded by mu; given up, and not made again yet
}

func (r *reserve) spent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone
}

func (s *Store) reservePath() string { return s.cfg.FS.PathJoin(s.dir, "reserve") }

// openRoom is how many bytes of the disk the index wants to be opened.
const openRoom = 8 << 20

// makeRoom gives the reserve up when the disk is too full to open the index.
func (s *Store) makeRoom() {
	if _, err := s.cfg.FS.Stat(s.reservePath()); err != nil || s.cfg.ReadOnly {
		return
	}
	s.reserve.mu.Lock()
	s.reserve.here = true
	s.reserve.mu.Unlock()
	if u, err := s.usage(); err == nil && u.AvailBytes < openRoom && s.spend() {
		s.cfg.Log.Warn("disk is full, the space that was set aside is given up", "free", u.AvailBytes)
	}
}

// makeReserve sets some space aside, if it is free twice: more for a larger store,
// up to 64 MiB and a hundredth of the disk. Without it a full disk is merely harder
// to empty.
func (s *Store) makeReserve() {
	u, err := s.cfg.FS.GetDiskUsage(s.dir)
	n := min(64<<20, u.TotalBytes/100, 1<<20+uint64(max(s.index.data.Load(), 0))/16)
	if err != nil || u.AvailBytes < 2*n {
		return
	}
	s.reserve.mu.Lock()
	defer s.reserve.mu.Unlock()
	f, err := s.cfg.FS.OpenReadWrite(s.reservePath(), vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Preallocate(0, int64(n)), f.Close())
	}
	if err != nil {
		s.cfg.Log.Debug("no space is set aside", "err", err)
	}
	s.reserve.here, s.reserve.gone = err == nil, false
}

// spend gives the reserve up, and answers whether there was one.
func (s *Store) spend() bool {
	s.reserve.mu.Lock()
	defer s.reserve.mu.Unlock()
	if !s.reserve.here {
		return false
	}
	s.reserve.here, s.reserve.gone = false, true
	return s.cfg.FS.Remove(s.reservePath()) == nil
}

// appendTight appends records that make space, with the reserve if need be.
func (s *Store) appendTight(ctx context.Context, recs []seglog.Record) ([]seglog.Pos, error) {
	pos, err := s.log.Append(ctx, recs...)
	if errors.Is(spaced(err), blocks.ErrFull) && s.spend() {
		pos, err = s.log.Append(ctx, recs...)
	}
	return pos, err
}
