package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// Report is what Verify found.
type Report struct {
	Checked int64          `json:"checked"` // blocks whose hash is right
	Bytes   int64          `json:"bytes"`   // of those
	Bad     []mh.Multihash `json:"bad"`     // blocks that are put aside, in key order, those found before included
}

const (
	verified      = 256      // blocks that are looked at together
	verifiedBytes = 32 << 20 // of them
)

// Verify hashes every block. What is wrong is put aside, as if it were absent, so
// that a Put mends it; a record whose checksum alone is wrong is written again.
// tell, if there is one, is told the bytes done and to do.
func (s *Store) Verify(ctx context.Context, tell func(done, total int64)) (Report, error) {
	var r Report
	var from []byte
	for {
		next, err := s.verifySome(ctx, from, verifiedBytes, &r)
		if err != nil {
			return r, fmt.Errorf("disk: verify: %w", err)
		}
		if tell != nil {
			total := r.Bytes
			if next != nil {
				total = max(total, s.index.data.Load())
			}
			tell(r.Bytes, total)
		}
		if from = next; next == nil {
			return r, nil
		}
	}
}

// entry is a block of the index.
type entry struct {
	h mh.Multihash
	p place
}

// entries gives the next of the index's blocks from a multihash on, and where the
// next ones begin; nil is at the end.
func (s *Store) entries(from []byte, count int, size int64) (out []entry, next []byte, err error) {
	if f := s.index.failed.Load(); f != nil {
		return nil, nil, f
	}
	it, err := s.index.db.NewIter(&pebble.IterOptions{LowerBound: key(byBlock, from), UpperBound: above([]byte(byBlock))})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		h := bytes.Clone(it.Key()[len(byBlock):])
		if len(out) == count || size <= 0 {
			return out, h, nil
		}
		p, _, err := parsePlace(it.Value())
		if err != nil {
			return nil, nil, err
		}
		out, size = append(out, entry{h, p}), size-int64(p.n)
	}
	return out, nil, it.Error()
}

// verifySome verifies blocks from a multihash on, of about so many bytes, and
// answers where the next ones begin; nil is at the end.
func (s *Store) verifySome(ctx context.Context, from []byte, size int64, r *Report) (next []byte, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.users.Done()
	es, next, err := s.entries(from, verified, size)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(es, func(a, b entry) int {
		if a.p.pos.Before(b.p.pos) {
			return -1
		}
		return 1
	})
	var mu sync.Mutex
	var bad []mh.Multihash
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, e := range es {
		if e.p.state == gone {
			continue
		}
		g.Go(func() error {
			n, whole, err := s.verifyOne(ctx, e.h)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case blocks.IsNotFound(err) && !errors.Is(err, blocks.ErrMismatch): // deleted meanwhile
			case err != nil && !errors.Is(err, blocks.ErrMismatch):
				return err
			case whole:
				r.Checked++
				r.Bytes += int64(n)
			default:
				bad = append(bad, e.h)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(bad, func(a, b mh.Multihash) int { return bytes.Compare(a, b) })
	r.Bad = append(r.Bad, bad...)
	return next, nil
}

// verifyOne reads the block h and hashes it.
func (s *Store) verifyOne(ctx context.Context, h mh.Multihash) (n int, whole bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		p, err := s.find(h)
		if err != nil {
			return 0, false, err
		}
		buf := s.buffers.get(int(seglog.Size(len(h), p.n)))
		data, err := s.log.Read(p.pos, h, p.n, *buf)
		switch {
		case err == nil && s.hashes(h, data):
			s.buffers.put(buf)
			return p.n, true, nil
		case err == nil: // wrong when it was written
		case errors.Is(err, seglog.ErrDamaged) && data != nil && s.hashes(h, data):
			data = bytes.Clone(data)
			s.buffers.put(buf)
			s.rewrite(ctx, h, data)
			return p.n, true, nil
		case !errors.Is(err, seglog.ErrDamaged) && !errors.Is(err, seglog.ErrGone):
			s.buffers.put(buf)
			return 0, false, err
		}
		s.buffers.put(buf)
		if again, err := s.find(h); err == nil && again == p {
			s.condemn(ctx, h, p, blocks.ErrMismatch)
			return p.n, false, nil
		}
	}
}

// rewrite writes a block again whose checksum has rotted.
func (s *Store) rewrite(ctx context.Context, h mh.Multihash, data []byte) {
	if s.cfg.ReadOnly {
		return
	}
	if _, err := s.log.Append(ctx, seglog.Record{Kind: kindBlock, Key: h, Data: data}); err != nil {
		s.cfg.Log.Debug("a checksum stays wrong", "cid", blocks.Key(h), "err", err)
	}
}
