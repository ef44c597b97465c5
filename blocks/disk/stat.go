package disk

import (
	"context"
	"fmt"

	"github.com/cairn-network/cairn/blocks/disk/seglog"
)

// Stat is how a store stands. Sizes are in bytes.
type Stat struct {
	Version     int   `json:"version"`  // of the format
	Blocks      int64 `json:"blocks"`   // that are here and were not found wrong
	Bytes       int64 `json:"bytes"`    // of those blocks
	Dead        int64 `json:"dead"`     // written, no longer needed, and not given back yet
	Disk        int64 `json:"disk"`     // of the disk that the log takes
	Segments    int   `json:"segments"` // files of the log
	Leases      int   `json:"leases"`
	Pins        int   `json:"pins"`
	Held        int64 `json:"held"`        // blocks under a lease
	Quarantined int64 `json:"quarantined"` // blocks found wrong and not put again
	Free        int64 `json:"free"`        // of the disk, the reserve not counted
}

// Stat tells how the store stands.
func (s *Store) Stat(ctx context.Context) (st Stat, err error) {
	err = s.enter()
	if err == nil {
		defer s.users.Done()
		st, err = s.stat(ctx)
	}
	if err != nil {
		return Stat{}, fmt.Errorf("disk: stat: %w", err)
	}
	return st, nil
}

func (s *Store) stat(ctx context.Context) (st Stat, err error) {
	segs, err := s.log.Segments()
	if err != nil {
		return st, err
	}
	x := s.index
	st = Stat{
		Version: version, Segments: len(segs), Held: x.held.Load(),
		Blocks: x.blocks.Load(), Bytes: x.data.Load(), Quarantined: x.bad.Load(),
	}
	x.mu.Lock()
	for _, g := range segs {
		st.Disk += g.Disk
		if t := x.segs[g.ID]; t != nil {
			st.Dead += max(min(g.Size, g.Disk)-t.live-t.tomb-seglog.HeaderSize, 0)
		}
	}
	x.mu.Unlock()
	s.mu.Lock()
	st.Quarantined += int64(len(s.bad))
	st.Blocks -= int64(len(s.bad))
	s.mu.Unlock()
	err = s.scan(ctx, []byte(byID), func(_, _ []byte) (bool, error) { st.Leases++; return true, nil })
	if err != nil {
		return st, err
	}
	for _, err := range s.Pins(ctx) {
		if err != nil {
			return st, err
		}
		st.Pins++
	}
	st.Free, err = s.Free()
	return st, err
}

// Usage is how many bytes of the disk the log takes.
func (s *Store) Usage(context.Context) (n int64, err error) {
	if err := s.enter(); err != nil {
		return 0, fmt.Errorf("disk: usage: %w", err)
	}
	defer s.users.Done()
	segs, err := s.log.Segments()
	if err != nil {
		return 0, fmt.Errorf("disk: usage: %w", err)
	}
	for _, g := range segs {
		n += min(g.Size, g.Disk) // what is allocated ahead is not taken yet
	}
	return n, nil
}
