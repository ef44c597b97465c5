package disk

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	mh "github.com/multiformats/go-multihash"
)

// Swept is what Sweep forgot.
type Swept struct {
	Blocks int   `json:"blocks"`
	Bytes  int64 `json:"bytes"`
}

const (
	sweptTogether = 128     // blocks that are forgotten with one sync
	sweptOldest   = 1 << 16 // blocks that are put in order at a time
)

// Sweep forgets blocks that nobody needs: mark, which is called when the sweep
// has begun, says what to keep beside what is under a lease. want is how many
// bytes to give up, those longest not asked for first; 0 is all.
//
// Whatever a Put or a Hold names that is under way when the sweep begins, or
// begins before it ends, is spared. What was put before, and will be pinned or
// held only later, only the caller knows: the keep that mark answers must know
// it too: keep is asked about a block shortly before it would be forgotten, and
// may be asked again.
func (s *Store) Sweep(ctx context.Context, mark func(ctx context.Context) (keep func(mh.Multihash) bool, err error), want int64) (Swept, error) {
	sw, err := s.sweep(ctx, mark, want)
	if err != nil {
		return sw, fmt.Errorf("disk: sweep: %w", spaced(err))
	}
	return sw, nil
}

func (s *Store) sweep(ctx context.Context, mark func(ctx context.Context) (func(mh.Multihash) bool, error), want int64) (sw Swept, err error) {
	if err := s.enter(); err != nil {
		return sw, err
	}
	defer s.users.Done()
	if err := s.writable(); err != nil {
		return sw, err
	}
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	s.flights.epoch()
	defer s.flights.endEpoch()
	keep, err := mark(ctx)
	if err != nil {
		return sw, fmt.Errorf("mark: %w", err)
	}
	s.writeReads()
	rest := s.resting(false)
	if want <= 0 {
		return s.sweepAll(ctx, keep, rest)
	}
	for sw.Bytes < want {
		oldest, err := s.oldest(ctx, keep, want-sw.Bytes)
		if err != nil {
			return sw, err
		}
		before := sw
		for part := range slices.Chunk(oldest, sweptTogether) {
			if err := s.forgetUnless(ctx, part, keep, &sw); err != nil {
				return sw, err
			}
			rest(ctx)
		}
		if sw == before {
			return sw, nil // there is no more
		}
	}
	return sw, nil
}

func (s *Store) sweepAll(ctx context.Context, keep func(mh.Multihash) bool, rest func(context.Context) bool) (sw Swept, err error) {
	var from []byte
	for {
		if err := ctx.Err(); err != nil {
			return sw, err
		}
		es, next, err := s.entries(from, sweptTogether, 1<<62)
		if err != nil {
			return sw, err
		}
		var part []mh.Multihash
		for _, e := range es {
			if e.p.state == there {
				part = append(part, e.h)
			}
		}
		if err := s.forgetUnless(ctx, part, keep, &sw); err != nil {
			return sw, err
		}
		if from = next; next == nil {
			return sw, nil
		}
		rest(ctx)
	}
}

// forgetUnless forgets those of hs that nobody holds, keeps or relies on.
func (s *Store) forgetUnless(ctx context.Context, hs []mh.Multihash, keep func(mh.Multihash) bool, sw *Swept) error {
	var free []mh.Multihash
	for _, h := range hs {
		held, err := s.isHeld(h)
		if err != nil {
			return err
		}
		if !held && !keep(h) {
			free = append(free, h)
		}
	}
	// What is held from here on was relied on before.
	f, err := s.forget(ctx, free, s.flights.reliedLocked)
	sw.Blocks += f.blocks
	sw.Bytes += f.bytes
	return err
}

func (s *Store) isHeld(h mh.Multihash) (held bool, err error) {
	err = scanPrefix(s.index.db, key(byHash, h), func(_, value []byte) (bool, error) {
		held, err = stands(value)
		return !held, err
	})
	return held, err
}

// aged is a block and when it was last asked for.
type aged struct {
	h    mh.Multihash
	n    int64
	last uint64 // sequence number of the log
}

// youngest is a heap with the youngest on top.
type youngest []aged

func (y youngest) Len() int           { return len(y) }
func (y youngest) Less(i, j int) bool { return y[i].last > y[j].last }
func (y youngest) Swap(i, j int)      { y[i], y[j] = y[j], y[i] }
func (y *youngest) Push(v any)        { *y = append(*y, v.(aged)) }
func (y *youngest) Pop() any {
	last := (*y)[len(*y)-1]
	*y = (*y)[:len(*y)-1]
	return last
}

// oldest gives the blocks longest not asked for that make up want bytes, the
// oldest first; not more than can be put in order at a time.
func (s *Store) oldest(ctx context.Context, keep func(mh.Multihash) bool, want int64) ([]mh.Multihash, error) {
	var top youngest
	var have int64
	var from []byte
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		es, next, err := s.entries(from, sweptTogether, 1<<62)
		if err != nil {
			return nil, err
		}
		for _, e := range es {
			if e.p.state != there {
				continue
			}
			a := aged{h: e.h, n: int64(e.p.n), last: e.p.seq}
			if a.last, err = s.lastRead(e.h, a.last); err != nil {
				return nil, err
			}
			if have >= want && a.last >= top[0].last {
				continue
			}
			held, err := s.isHeld(e.h)
			if err != nil {
				return nil, err
			}
			if held || s.isRelied(e.h) || keep(e.h) {
				continue
			}
			heap.Push(&top, a)
			have += a.n
			for len(top) > sweptOldest || len(top) > 0 && have-top[0].n >= want {
				have -= heap.Pop(&top).(aged).n
			}
		}
		if from = next; next == nil {
			break
		}
	}
	slices.SortFunc(top, func(a, b aged) int { return cmp.Compare(a.last, b.last) })
	out := make([]mh.Multihash, len(top))
	for i, a := range top {
		out[i] = a.h
	}
	return out, nil
}

func (s *Store) isRelied(h mh.Multihash) bool {
	s.flights.mu.Lock()
	defer s.flights.mu.Unlock()
	return s.flights.reliedLocked(string(h))
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
