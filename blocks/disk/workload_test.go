package disk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// workload is some hours of a store's life, in short: batches of all sizes,
// leases, pins, deletes, collections, compactions, restarts, and calls at the
// same time. The same seed asks the same things in the same order.
type workload struct {
	rng    *rand.Rand
	h      *history
	s      *disk.Store
	open   func() (*disk.Store, error)
	pool   []blocks.Block
	leases []blocks.Lease
}

var blockSizes = []int{1, 60, 300, 511, 512, 513, 2000, 4096, 5000, 9000, 20_000}

// run does n steps.
func (w *workload) run(ctx context.Context, n int) (err error) {
	for i := range 60 {
		size := blockSizes[w.rng.IntN(len(blockSizes))]
		w.pool = append(w.pool, block(w.rng.Uint64(), size))
		w.h.bytes[string(w.pool[i].Hash())] = string(w.pool[i].RawData())
	}
	for i := range uint64(4) {
		w.leases = append(w.leases, blockstest.Lease(i, 1, w.pool[i].Cid(), testStart))
	}
	if w.s, err = w.open(); err != nil && w.h.tolerate {
		w.s, err = w.open()
	}
	if err != nil {
		return err
	}
	for i := range n {
		if err := w.step(ctx); err != nil {
			return errors.Join(fmt.Errorf("step %d: %w", i, err), w.s.Close())
		}
	}
	return nil
}

func (w *workload) step(ctx context.Context) error {
	switch p := w.rng.IntN(100); {
	case p < 40:
		return w.put(ctx, w.some(w.rng.IntN(8)+1))
	case p < 48: // at the same time, so that they share a sync
		bs := w.some(9)
		g, ctx := errgroup.WithContext(ctx)
		for i := range 3 {
			g.Go(func() error { return w.put(ctx, bs[3*i:3*i+3]) })
		}
		return g.Wait()
	case p < 60:
		return w.delete(ctx, w.some(w.rng.IntN(4)+1))
	case p < 75:
		return w.hold(ctx, w.leases[w.rng.IntN(len(w.leases))], w.some(w.rng.IntN(4)+1))
	case p < 84:
		return w.pin(ctx, w.some(1)[0])
	case p < 88:
		root := w.some(1)[0].Cid()
		return w.h.say(absent, []string{"p" + string(root.Bytes())}, func() error { return w.s.Unpin(ctx, root) })
	case p < 91:
		return w.collect(ctx)
	case p < 95:
		return w.h.say(absent, nil, func() error {
			_, err := w.s.Compact(ctx, nil)
			return err
		})
	case p < 97: // compact while others put
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return w.put(ctx, w.some(4)) })
		return errors.Join(w.h.say(absent, nil, func() error {
			_, err := w.s.Compact(ctx, nil)
			return err
		}), g.Wait())
	default:
		return w.reopen()
	}
}

// reopen closes the store and opens it again; of a fault that happens once, the
// second try knows nothing.
func (w *workload) reopen() (err error) {
	if err := w.h.say(absent, nil, w.s.Close); err != nil {
		return err
	}
	if w.s, err = w.open(); err != nil && w.h.tolerate {
		w.s, err = w.open()
	}
	return err
}

// some picks n different blocks.
func (w *workload) some(n int) (out []blocks.Block) {
	for _, i := range w.rng.Perm(len(w.pool))[:n] {
		out = append(out, w.pool[i])
	}
	return out
}

func (w *workload) put(ctx context.Context, bs []blocks.Block) error {
	var keys []string
	for _, b := range bs {
		keys = append(keys, "b"+string(b.Hash()))
	}
	return w.h.say("", keys, func() error { return w.s.Put(ctx, bs...) })
}

// delete forgets those of bs that nobody holds.
func (w *workload) delete(ctx context.Context, bs []blocks.Block) error {
	var keys []string
	var hs []mh.Multihash
	for _, b := range bs {
		if !w.held(b.Hash()) {
			keys, hs = append(keys, "b"+string(b.Hash())), append(hs, b.Hash())
		}
	}
	return w.h.say(absent, keys, func() error { return w.s.Delete(ctx, hs...) })
}

// held reports whether h may be held: that was asked for.
func (w *workload) held(h mh.Multihash) bool {
	for _, l := range w.leases {
		if w.h.now(holdKey(h, l)) != absent {
			return true
		}
	}
	return false
}

// kept reports whether h is held for sure: that was acknowledged.
func (w *workload) kept(h mh.Multihash) bool {
	for _, l := range w.leases {
		if w.h.now(holdKey(h, l)) == "" {
			return true
		}
	}
	return false
}

// hold enters those of bs that are there.
func (w *workload) hold(ctx context.Context, l blocks.Lease, bs []blocks.Block) error {
	var keys []string
	var hs []mh.Multihash
	for _, b := range bs {
		if w.h.now("b"+string(b.Hash())) == "" {
			keys, hs = append(keys, holdKey(b.Hash(), l)), append(hs, b.Hash())
		}
	}
	if len(hs) == 0 {
		return nil
	}
	return w.h.say("", keys, func() error { return w.s.Hold(ctx, l, hs...) })
}

func (w *workload) pin(ctx context.Context, b blocks.Block) error {
	p := blocks.Pin{Root: b.Cid(), Name: fmt.Sprint("pin ", w.rng.Uint64()), Time: testStart}
	return w.h.say(p.Name, []string{"p" + string(b.Cid().Bytes())}, func() error { return w.s.Pin(ctx, p) })
}

// collect forgets some of what nobody holds, as a collection does.
func (w *workload) collect(ctx context.Context) error {
	var keys []string
	var hs []mh.Multihash
	for _, b := range w.pool {
		if !w.kept(b.Hash()) && w.h.now("b"+string(b.Hash())) != absent && w.rng.IntN(2) == 0 {
			keys, hs = append(keys, "b"+string(b.Hash())), append(hs, b.Hash())
		}
	}
	return w.h.say(absent, keys, func() error { return w.s.Delete(ctx, hs...) })
}
