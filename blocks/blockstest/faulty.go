package blockstest

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// ErrFlip is what Fail answers to have a block handed on with one bit flipped
// instead of failing. Operations that move no bytes fail with it.
var ErrFlip = errors.New("blockstest: flip a bit")

// Faulty is a store that fails when Fail says so; nil never does. It is asked
// before each operation with its name (get, put, view, has, size, delete, all)
// and each key that it concerns. The operation then fails with what Fail
// answered, or corrupts the bytes for [ErrFlip].
type Faulty struct {
	blocks.Store
	Fail func(op string, h mh.Multihash) error
}

func (f *Faulty) fail(op string, h mh.Multihash) error {
	if f.Fail == nil {
		return nil
	}
	return f.Fail(op, h)
}

// Get gives the block of c, wrong bytes, or an error.
func (f *Faulty) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	fault := f.fail("get", c.Hash())
	if fault != nil && !errors.Is(fault, ErrFlip) {
		return blocks.Block{}, fault
	}
	b, err := f.Store.Get(ctx, c)
	if err != nil || fault == nil {
		return b, err
	}
	return flipped(b), nil
}

// Put keeps bs up to the first for which Fail has an error.
func (f *Faulty) Put(ctx context.Context, bs ...blocks.Block) error {
	for i, b := range bs {
		switch err := f.fail("put", b.Hash()); {
		case errors.Is(err, ErrFlip):
			bs = slices.Clone(bs)
			bs[i] = flipped(b)
		case err != nil:
			return errors.Join(err, f.Store.Put(ctx, bs[:i]...))
		}
	}
	return f.Store.Put(ctx, bs...)
}

// View lends the bytes of h, or wrong ones, to use.
func (f *Faulty) View(ctx context.Context, h mh.Multihash, use func([]byte) error) error {
	switch err := f.fail("view", h); {
	case errors.Is(err, ErrFlip):
		return f.Store.View(ctx, h, func(data []byte) error { return use(flip(data)) })
	case err != nil:
		return err
	}
	return f.Store.View(ctx, h, use)
}

// Has reports whether h is here.
func (f *Faulty) Has(ctx context.Context, h mh.Multihash) (bool, error) {
	if err := f.fail("has", h); err != nil {
		return false, err
	}
	return f.Store.Has(ctx, h)
}

// Size is the length of the block h.
func (f *Faulty) Size(ctx context.Context, h mh.Multihash) (int, error) {
	if err := f.fail("size", h); err != nil {
		return 0, err
	}
	return f.Store.Size(ctx, h)
}

// Delete forgets hs up to the first for which Fail has an error.
func (f *Faulty) Delete(ctx context.Context, hs ...mh.Multihash) error {
	for i, h := range hs {
		if err := f.fail("delete", h); err != nil {
			return errors.Join(err, f.Store.Delete(ctx, hs[:i]...))
		}
	}
	return f.Store.Delete(ctx, hs...)
}

// All yields keys up to the first for which Fail has an error.
func (f *Faulty) All(ctx context.Context) iter.Seq2[mh.Multihash, error] {
	return func(yield func(mh.Multihash, error) bool) {
		for h, err := range f.Store.All(ctx) {
			if err == nil {
				err = f.fail("all", h)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(h, nil) {
				return
			}
		}
	}
}

func flipped(b blocks.Block) blocks.Block { return blocks.Hashed(b.Cid(), flip(b.RawData())) }

// flip changes one bit; of nothing it makes one byte.
func flip(data []byte) []byte {
	if len(data) == 0 {
		return []byte{1}
	}
	data = slices.Clone(data)
	data[len(data)/2] ^= 1
	return data
}
