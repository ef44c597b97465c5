package blockstest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Hold enters hs under l.
func (m *Mem) Hold(ctx context.Context, l blocks.Lease, hs ...mh.Multihash) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blockstest: hold: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leases == nil {
		m.leases = make(map[blocks.LeaseID]blocks.Lease)
		m.held = make(map[string]map[blocks.LeaseID]struct{})
	}
	id := l.ID()
	if old, ok := m.leases[id]; !ok || l.Seq > old.Seq {
		m.leases[id] = l
	}
	for _, h := range hs {
		ids := m.held[string(h)]
		if ids == nil {
			ids = make(map[blocks.LeaseID]struct{})
			m.held[string(h)] = ids
		}
		ids[id] = struct{}{}
	}
	return nil
}

// Release ends that hs are held under id.
func (m *Mem) Release(ctx context.Context, id blocks.LeaseID, hs ...mh.Multihash) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blockstest: release: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range hs {
		ids := m.held[string(h)]
		if delete(ids, id); len(ids) == 0 {
			delete(m.held, string(h))
		}
	}
	return nil
}

// Lease gives the lease id.
func (m *Mem) Lease(ctx context.Context, id blocks.LeaseID) (blocks.Lease, bool, error) {
	if err := ctx.Err(); err != nil {
		return blocks.Lease{}, false, fmt.Errorf("blockstest: lease: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.leases[id]
	return l, ok, nil
}

// Leases gives the leases of h in order of their ids.
func (m *Mem) Leases(ctx context.Context, h mh.Multihash) ([]blocks.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("blockstest: leases: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leasesLocked(string(h)), nil
}

func (m *Mem) leasesLocked(h string) []blocks.Lease {
	if len(m.held[h]) == 1 {
		for id := range m.held[h] {
			return []blocks.Lease{m.leases[id]}
		}
	}
	var ls []blocks.Lease
	ids := slices.SortedFunc(maps.Keys(m.held[h]), func(a, b blocks.LeaseID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		ls = append(ls, m.leases[id])
	}
	return ls
}

// Held yields every held block in key order.
func (m *Mem) Held(ctx context.Context) iter.Seq2[blocks.Holding, error] {
	return each(ctx, func() (out []blocks.Holding) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, h := range slices.Sorted(maps.Keys(m.held)) {
			out = append(out, blocks.Holding{Hash: mh.Multihash(h), Leases: m.leasesLocked(h)})
		}
		return out
	})
}

// Count is the number of held blocks.
func (m *Mem) Count() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.held))
}

// Under yields the blocks of the lease id in key order.
func (m *Mem) Under(ctx context.Context, id blocks.LeaseID) iter.Seq2[mh.Multihash, error] {
	return each(ctx, func() (out []mh.Multihash) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, h := range slices.Sorted(maps.Keys(m.held)) {
			if _, ok := m.held[h][id]; ok {
				out = append(out, mh.Multihash(h))
			}
		}
		return out
	})
}

// Pin writes p.
func (m *Mem) Pin(ctx context.Context, p blocks.Pin) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blockstest: pin: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pins == nil {
		m.pins = make(map[string]blocks.Pin)
	}
	m.pins[p.Root.KeyString()] = p
	return nil
}

// Unpin forgets the pin of root.
func (m *Mem) Unpin(ctx context.Context, root cid.Cid) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blockstest: unpin: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pins, root.KeyString())
	return nil
}

// Pinned gives the pin of root.
func (m *Mem) Pinned(ctx context.Context, root cid.Cid) (blocks.Pin, bool, error) {
	if err := ctx.Err(); err != nil {
		return blocks.Pin{}, false, fmt.Errorf("blockstest: pinned: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.pins[root.KeyString()]
	return p, ok, nil
}

// Pins yields every pin in order of its root.
func (m *Mem) Pins(ctx context.Context) iter.Seq2[blocks.Pin, error] {
	return each(ctx, func() (out []blocks.Pin) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, root := range slices.Sorted(maps.Keys(m.pins)) {
			out = append(out, m.pins[root])
		}
		return out
	})
}

// each yields what snapshot gives at the time of the call, until ctx is done.
func each[T any](ctx context.Context, snapshot func() []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range snapshot() {
			if err := ctx.Err(); err != nil {
				var none T
				yield(none, fmt.Errorf("blockstest: list: %w", err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}
