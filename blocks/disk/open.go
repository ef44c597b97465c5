package disk

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func (s *Store) indexDir() string { return s.cfg.FS.PathJoin(s.dir, "index") }

// reuseIndex opens the index that is there, or says why it will not do.
func (s *Store) reuseIndex() (why error) {
	dir := s.indexDir()
	if _, err := s.cfg.FS.Stat(dir); err != nil {
		return fmt.Errorf("there is none: %w", err)
	}
	if s.cfg.ReadOnly { // a database that cannot write ends badly
		probe := s.cfg.FS.PathJoin(dir, "probe")
		f, err := create(s.cfg.FS, probe)
		if err == nil {
			err = errors.Join(f.Close(), s.cfg.FS.Remove(probe))
		}
		if err != nil {
			return fmt.Errorf("it cannot be written: %w", err)
		}
	}
	defer func() {
		if r := recover(); r != nil { // a database of garbage
			why = fmt.Errorf("index: %v", r)
		}
	}()
	if err := checkTables(s.cfg.FS, dir); err != nil {
		return err
	}
	x, err := openIndex(s.cfg.FS, dir, s.cfg.Log)
	if err != nil {
		return err
	}
	if err := x.fits(s.log); err != nil {
		x.close(false) // it goes
		return err
	}
	s.index = x
	return nil
}

// freshIndex makes an empty index. Where nothing may be written it is in memory.
func (s *Store) freshIndex() (err error) {
	fs, dir := s.cfg.FS, s.indexDir()
	if err = fs.RemoveAll(dir); err == nil {
		s.index, err = openIndex(fs, dir, s.cfg.Log)
	}
	if err != nil && s.cfg.ReadOnly {
		s.index, err = openIndex(vfs.NewMem(), "index", s.cfg.Log)
	}
	if err == nil {
		s.index.named = newFilter(0)
		s.index.named.ready.Store(true)
	}
	return err
}

// fits says what in the index cannot be of the log.
func (x *index) fits(log *seglog.Log) error {
	if x.at.mark != log.Mark() {
		return fmt.Errorf("index: it is of another log, or empty")
	}
	segs, err := log.Segments()
	if err != nil {
		return err
	}
	known := make(map[uint32]bool)
	end := x.at.pos == seglog.Pos{}
	for _, g := range segs {
		known[g.ID] = true
		if x.segs[g.ID] == nil && g.ID < x.at.pos.Seg && g.Size > seglog.HeaderSize {
			return fmt.Errorf("index: segment %d is not in it", g.ID)
		}
		if g.ID == x.at.pos.Seg {
			end = g.Size >= int64(x.at.pos.Off)
		}
	}
	if !end {
		return fmt.Errorf("index: it is ahead of the log")
	}
	for id, t := range x.segs {
		if !known[id] && !t.dropped {
			return fmt.Errorf("index: segment %d is missing", id)
		}
	}
	return nil
}

// replay enters the log behind what the index covers, and ends what a compaction
// has begun.
func (s *Store) replay() error {
	x := s.index
	end, err := s.replayLog()
	if err != nil {
		return err
	}
	segs, err := s.log.Segments()
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.at.mark = s.log.Mark()
	err = x.batchLocked(end, func(c *change) error {
		for _, g := range segs {
			c.seg(g.ID)
		}
		return nil
	})
	x.freed = nil // of before: punched then, or compacted some day
	x.named = nil
	x.mu.Unlock()
	if err != nil || s.cfg.ReadOnly {
		return err
	}
	return s.endDrops(segs)
}

// endDrops removes segments that were compacted when the process was killed.
func (s *Store) endDrops(segs []seglog.Segment) error {
	there := make(map[uint32]bool)
	for _, g := range segs {
		there[g.ID] = true
	}
	x := s.index
	for id, t := range x.segs {
		if !t.dropped {
			continue
		}
		if there[id] && s.log.Removable(id) {
			if err := s.log.Remove(context.Background(), id); err != nil {
				return err
			}
		} else if there[id] {
			continue
		}
		x.mu.Lock()
		delete(x.segs, id)
		err := x.try(func() error { return x.db.Delete(segKey(id), pebble.NoSync) })
		x.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}
