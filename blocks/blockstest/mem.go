// Package blockstest holds what every test of blocks needs: a store in memory,
// a store that fails on purpose, the contracts of [blocks.Store] and
// [blocks.Ledger] as tests, sizes worth trying, and bytes to fill them.
//
// It is for tests only; no program imports it. It starts no goroutine outside
// the tests of the two contracts, which wait for theirs.
package blockstest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Mem is a [blocks.Store] and a [blocks.Ledger] in memory. Its zero value is
// empty and ready.
type Mem struct {
	mu     sync.Mutex
	data   map[string][]byte                      // guarded by mu; by multihash
	leases map[blocks.LeaseID]blocks.Lease        // guarded by mu
	held   map[string]map[blocks.LeaseID]struct{} // guarded by mu; by multihash
	pins   map[string]blocks.Pin                  // guarded by mu; by root
	recs   map[string]blocks.Record               // guarded by mu; by kind and key
}

var (
	_ blocks.Store       = (*Mem)(nil)
	_ blocks.Ledger      = (*Mem)(nil)
	_ blocks.RecordStore = (*Mem)(nil)
)

// Get gives the block of c.
func (m *Mem) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	data, err := m.read(ctx, c)
	if err != nil {
		return blocks.Block{}, err
	}
	return blocks.Hashed(c, data), nil
}

func (m *Mem) read(ctx context.Context, c cid.Cid) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("blockstest: read: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.data[string(c.Hash())]
	if !ok {
		return nil, blocks.NotFound(c)
	}
	return data, nil
}

// Put keeps bs.
func (m *Mem) Put(ctx context.Context, bs ...blocks.Block) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blockstest: put: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		m.data = make(map[string][]byte)
	}
	for _, b := range bs {
		m.data[string(b.Hash())] = b.RawData()
	}
	return nil
}

// View lends the bytes of h to f.
func (m *Mem) View(ctx context.Context, h mh.Multihash, f func([]byte) error) error {
	data, err := m.read(ctx, blocks.Key(h))
	if err != nil {
		return err
	}
	return f(data)
}

// Has reports whether h is here.
func (m *Mem) Has(ctx context.Context, h mh.Multihash) (bool, error) {
	_, err := m.read(ctx, blocks.Key(h))
	if blocks.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// Size is the length of the block h.
func (m *Mem) Size(ctx context.Context, h mh.Multihash) (int, error) {
	data, err := m.read(ctx, blocks.Key(h))
	return len(data), err
}

// Delete forgets hs.
func (m *Mem) Delete(ctx context.Context, hs ...mh.Multihash) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blockstest: delete: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range hs {
		delete(m.data, string(h))
	}
	return nil
}

// All yields every key in byte order.
func (m *Mem) All(ctx context.Context) iter.Seq2[mh.Multihash, error] {
	return func(yield func(mh.Multihash, error) bool) {
		m.mu.Lock()
		keys := slices.Sorted(maps.Keys(m.data))
		m.mu.Unlock()
		for _, k := range keys {
			if err := ctx.Err(); err != nil {
				yield(nil, fmt.Errorf("blockstest: all: %w", err))
				return
			}
			if !yield(mh.Multihash(k), nil) {
				return
			}
		}
	}
}
