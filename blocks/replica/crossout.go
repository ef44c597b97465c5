package replica

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	mh "github.com/multiformats/go-multihash"
)

// A tree that is put anew after each change, and whose lease of before is taken back, would
// leave an entry for each of its states beside every block that all of them have. Such
// entries say nothing any more, and go; a block that nothing else stands for is the
// collection's.

// Entries that are looked for and let go at a time: the first bounds memory, the second is
// how long others wait.
const (
	crossMost = 1 << 16
	crossPart = 128
)

// stale are entries of leases that were taken back.
type stale map[blocks.LeaseID][]mh.Multihash

// note adds those of held, if another lease stands for it.
func (st stale) note(held blocks.Holding, now time.Time) {
	if len(held.Leases) < 2 || len(blocks.Standing(held.Leases, now)) == 0 {
		return
	}
	for _, l := range held.Leases {
		if l.State == blocks.LeaseRevoked && len(st[l.ID()]) < crossMost {
			st[l.ID()] = append(st[l.ID()], held.Hash)
		}
	}
}

// crossOut lets go of all that st has.
func (s *Set) crossOut(ctx context.Context, st stale) error {
	for id, hs := range st {
		for part := range slices.Chunk(hs, crossPart) {
			if err := s.crossOutPart(ctx, id, part); err != nil {
				return fmt.Errorf("replica: leases that were taken back: %w", err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// crossOutPart ends that hs are held under the lease id, unless that, or what else stands for
// them, has changed meanwhile.
func (s *Set) crossOutPart(ctx context.Context, id blocks.LeaseID, hs []mh.Multihash) error {
	s.entering.Lock()
	defer s.entering.Unlock()
	var gone []mh.Multihash
	var before, after []entry
	now := time.Now()
	for _, h := range hs {
		ls, err := s.ledger.Leases(ctx, h)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(ls, func(l blocks.Lease) bool { return l.ID() == id })
		if at < 0 || ls[at].State != blocks.LeaseRevoked || len(blocks.Standing(ls, now)) == 0 || s.isPlacing(id) {
			continue
		}
		size, err := s.store.Size(ctx, h)
		if blocks.IsNotFound(err) {
			continue // the repair's
		}
		if err != nil {
			return err
		}
		gone = append(gone, h)
		before = append(before, entry{ls, int64(size)})
		after = append(after, entry{slices.Delete(slices.Clone(ls), at, at+1), int64(size)})
	}
	if err := s.ledger.Release(ctx, id, gone...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range gone {
		s.books.enter(s.self, before[i].leases, -before[i].size)
		s.books.enter(s.self, after[i].leases, after[i].size)
	}
	return nil
}

// isPlacing reports whether what is held under id is being placed.
func (s *Set) isPlacing(id blocks.LeaseID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id] != nil
}
