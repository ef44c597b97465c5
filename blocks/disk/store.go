package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/boxo/datastore/dshelp"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// parallel is how many blocks of one Put are written at a time: most of the time
// of each goes into two syncs, which the disk does together.
const parallel = 8

// Get gives the block of c, checked.
func (s *Store) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	if err := s.enter(); err != nil {
		return blocks.Block{}, fmt.Errorf("disk: get: %w", err)
	}
	defer s.users.Done()
	k, _ := s.files.key(c.Hash())
	data, err := s.read(ctx, k)
	if errors.Is(err, datastore.ErrNotFound) {
		return blocks.Block{}, blocks.NotFound(c)
	}
	if err != nil {
		return blocks.Block{}, fmt.Errorf("disk: get %s: %w", c, err)
	}
	b, err := blocks.Check(c, data)
	if errors.Is(err, blocks.ErrMismatch) {
		s.files.markBad(c.Hash())
		s.cfg.Log.Error("block is corrupt on disk", "cid", c)
	}
	if err != nil {
		return blocks.Block{}, fmt.Errorf("disk: get: %w", err)
	}
	return b, nil
}

func (s *Store) read(ctx context.Context, k datastore.Key) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.files.ds.Get(ctx, k)
}

// View lends the checked bytes of h to use.
func (s *Store) View(ctx context.Context, h mh.Multihash, use func([]byte) error) error {
	b, err := s.Get(ctx, blocks.Key(h))
	if err != nil {
		return err
	}
	return use(b.RawData())
}

// Put keeps bs: each is on the disk, with its name, when it answers nil.
func (s *Store) Put(ctx context.Context, bs ...blocks.Block) error {
	if err := s.enter(); err != nil {
		return fmt.Errorf("disk: put: %w", err)
	}
	defer s.users.Done()
	if err := s.put(ctx, bs); err != nil {
		return fmt.Errorf("disk: put: %w", spaced(err))
	}
	return nil
}

func (s *Store) put(ctx context.Context, bs []blocks.Block) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	seen, total := make(map[string]bool, len(bs)), int64(0)
	bs = slices.DeleteFunc(slices.Clone(bs), func(b blocks.Block) bool {
		again := seen[string(b.Hash())]
		seen[string(b.Hash())] = true
		if !again {
			total += int64(len(b.RawData()))
		}
		return again
	})
	if err := s.room(s.cfg.Reserve + total); err != nil {
		return err
	}
	if err := s.files.mkdirs(bs); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, b := range bs {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return s.files.put(ctx, b)
		})
	}
	return g.Wait()
}

// room answers ErrFull unless n bytes of the disk are free.
func (s *Store) room(n int64) error {
	u, err := vfs.Default.GetDiskUsage(s.dir)
	if err != nil {
		return err
	}
	if u.AvailBytes < uint64(n) {
		return fmt.Errorf("%w: %d bytes free on the disk of %s, want %d", blocks.ErrFull, u.AvailBytes, s.dir, n)
	}
	return nil
}

// Free is how many bytes of the disk are free, the reserve not counted.
func (s *Store) Free() (int64, error) {
	u, err := vfs.Default.GetDiskUsage(s.dir)
	if err != nil {
		return 0, fmt.Errorf("disk: free space of %s: %w", s.dir, err)
	}
	return max(int64(u.AvailBytes)-s.cfg.Reserve, 0), nil
}

// Has reports whether h is here and was not found corrupt.
func (s *Store) Has(ctx context.Context, h mh.Multihash) (bool, error) {
	_, err := s.Size(ctx, h)
	if blocks.IsNotFound(err) {
		return false, nil
	}
	return err == nil && !s.files.isBad(h), err
}

// Size is the length of the block h.
func (s *Store) Size(ctx context.Context, h mh.Multihash) (int, error) {
	if err := s.enter(); err != nil {
		return 0, fmt.Errorf("disk: size: %w", err)
	}
	defer s.users.Done()
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("disk: size: %w", err)
	}
	k, _ := s.files.key(h)
	n, err := s.files.ds.GetSize(ctx, k)
	if errors.Is(err, datastore.ErrNotFound) {
		return 0, blocks.NotFound(blocks.Key(h))
	}
	if err != nil {
		return 0, fmt.Errorf("disk: size: %w", err)
	}
	return n, nil
}

// Delete forgets hs. A power cut soon after may bring some of them back.
func (s *Store) Delete(ctx context.Context, hs ...mh.Multihash) error {
	if err := s.enter(); err != nil {
		return fmt.Errorf("disk: delete: %w", err)
	}
	defer s.users.Done()
	for _, h := range hs {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("disk: delete: %w", err)
		}
		if err := s.files.delete(ctx, h); err != nil {
			return fmt.Errorf("disk: delete: %w", err)
		}
	}
	return nil
}

// All yields every key in byte order. It reads all of them first: the
// directories stand in another order.
func (s *Store) All(ctx context.Context) iter.Seq2[mh.Multihash, error] {
	return func(yield func(mh.Multihash, error) bool) {
		keys, err := s.keys(ctx)
		for _, h := range keys {
			if err = ctx.Err(); err != nil || !yield(h, nil) {
				break
			}
		}
		if err != nil {
			yield(nil, fmt.Errorf("disk: all: %w", err))
		}
	}
}

func (s *Store) keys(ctx context.Context) (keys []mh.Multihash, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.users.Done()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rs, err := s.files.ds.Query(ctx, query.Query{KeysOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rs.Close()) }()
	for r := range rs.Next() {
		if r.Error != nil {
			return nil, r.Error
		}
		if h, err := dshelp.DsKeyToMultihash(datastore.RawKey(r.Key)); err == nil { // else somebody else's file
			keys = append(keys, h)
		}
	}
	if err := ctx.Err(); err != nil { // the query just stops
		return nil, err
	}
	slices.SortFunc(keys, func(a, b mh.Multihash) int { return bytes.Compare(a, b) })
	return keys, nil
}
