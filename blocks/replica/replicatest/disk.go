package replicatest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/dht/keyspace"
	mh "github.com/multiformats/go-multihash"
)

// disk is a member's store and ledger in memory. What comes and goes is told to the checker.
type disk struct {
	blockstest.Mem
	w *World
	m *member
}

// Put implements blocks.Store.
func (d *disk) Put(ctx context.Context, bs ...blocks.Block) error {
	if err := d.Mem.Put(ctx, bs...); err != nil {
		return err
	}
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	for _, b := range bs {
		d.w.came(d.m, b.Hash())
	}
	return nil
}

// Delete implements blocks.Store.
func (d *disk) Delete(ctx context.Context, hs ...mh.Multihash) error {
	if err := d.Mem.Delete(ctx, hs...); err != nil {
		return err
	}
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	for _, h := range hs {
		d.w.went(d.m, d.w.entry(h))
	}
	return nil
}

// Release implements blocks.Ledger.
func (d *disk) Release(ctx context.Context, id blocks.LeaseID, hs ...mh.Multihash) error {
	for _, h := range hs {
		kept, others := 0, []*disk(nil)
		d.w.mu.Lock()
		for _, n := range d.w.entries[d.w.entry(h)].holders {
			if n != d.m.n {
				others = append(others, d.w.members[n].disk)
			}
		}
		d.w.mu.Unlock()
		for _, o := range others {
			ls, err := o.Leases(ctx, h)
			if err != nil {
				return err
			}
			if len(blocks.Standing(ls, time.Now())) > 0 {
				kept++
			}
		}
		d.w.mu.Lock()
		d.w.check.tally.LetGo++
		if kept < d.w.cfg.R {
			d.w.check.tally.Rashly++
		}
		d.w.mu.Unlock()
	}
	return d.Mem.Release(ctx, id, hs...)
}

// seeded is a reader of bytes that are the same for the same seed.
func seeded(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return rand.NewChaCha8(key)
}

// blockSize is the bytes of a test block; on the line it counts as Config.Weight.
const blockSize = 64

// Make gives n blocks that are the same for the same seed, and a lease of them.
func (w *World) Make(n int) ([]blocks.Block, blocks.Lease) {
	bs := make([]blocks.Block, n)
	for i := range bs {
		bs[i] = blocks.New(0x55, blockstest.Random(w.cfg.Seed<<32+uint64(i), blockSize))
	}
	return bs, w.lease(bs[0], int64(n)*blockSize)
}

// Fill puts n blocks on their holders each, as a put that has ended had done. Their publisher
// is gone.
func (w *World) Fill(n int) error {
	return w.Lay(n, func(_ int, near []int) (on []int) {
		for _, i := range keyspace.Holders(w.groups(near), w.cfg.R) {
			on = append(on, near[i])
		}
		return on
	})
}

// Lay puts n blocks, each on those of the members near it, closest first, that on gives.
func (w *World) Lay(n int, on func(i int, near []int) []int) error {
	bs, l := w.Make(n)
	for i, b := range bs {
		var near []int
		w.mu.Lock()
		for _, k := range w.entries[w.entry(b.Hash())].near {
			near = append(near, int(k))
		}
		w.mu.Unlock()
		for _, k := range on(i, near) {
			d := w.members[k].disk
			if err := d.Put(w.ctx, b); err != nil {
				return err
			}
			if err := d.Hold(w.ctx, l, b.Hash()); err != nil {
				return err
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check.tally = Tally{}
	return nil
}
