package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cockroachdb/pebble/v2"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// readsKept is how many blocks may have been read before that is written down.
const readsKept = 4096

// noteRead notes that the block h was asked for, for the order in which
// a collection forgets. It is lost with the index.
func (s *Store) noteRead(h mh.Multihash) {
	s.mu.Lock()
	s.reads[string(h)] = struct{}{}
	full := len(s.reads) >= readsKept
	s.mu.Unlock()
	if full {
		s.writeReads()
	}
}

// writeReads writes down which blocks were read, with how long the log was.
func (s *Store) writeReads() {
	s.mu.Lock()
	reads := s.reads
	s.reads = make(map[string]struct{})
	s.mu.Unlock()
	if len(reads) == 0 || s.cfg.ReadOnly || s.index.failed.Load() != nil || s.index.ailing() {
		return
	}
	s.index.mu.Lock()
	seq := binary.LittleEndian.AppendUint64(nil, s.index.at.seq)
	s.index.mu.Unlock()
	b := s.index.db.NewBatch()
	var err error
	for h := range reads {
		err = errors.Join(err, b.Set(append([]byte(byRead), h...), seq, nil))
	}
	if err = errors.Join(err, s.index.try(func() error { return errors.Join(b.Commit(pebble.NoSync), b.Close()) })); err != nil {
		s.cfg.Log.Debug("what was read of late is lost", "err", err)
	}
}

// Used tells when the block h was last asked for or put: of two blocks the one with the
// lower number, longer ago. A block that is not here answers NotFound.
func (s *Store) Used(ctx context.Context, h mh.Multihash) (uint64, error) {
	if err := errors.Join(ctx.Err(), s.enter()); err != nil {
		return 0, fmt.Errorf("disk: used: %w", err)
	}
	defer s.users.Done()
	p, ok, err := s.index.get(h)
	if err == nil && (!ok || p.state != there) {
		return 0, blocks.NotFound(cid.NewCidV1(cid.Raw, h))
	}
	s.mu.Lock()
	_, just := s.reads[string(h)]
	s.mu.Unlock()
	if just {
		return math.MaxUint64, nil
	}
	var used uint64
	if err == nil {
		used, err = s.lastRead(h, p.seq)
	}
	if err != nil {
		return 0, fmt.Errorf("disk: used: %w", err)
	}
	return used, nil
}

// lastRead is when the block h, which was put at seq, was last asked for.
func (s *Store) lastRead(h mh.Multihash, seq uint64) (uint64, error) {
	value, done, err := s.index.db.Get(key(byRead, h))
	if errors.Is(err, pebble.ErrNotFound) {
		return seq, nil
	}
	if err != nil {
		return 0, err
	}
	if len(value) == 8 {
		seq = max(seq, binary.LittleEndian.Uint64(value))
	}
	return seq, done.Close()
}
