package wire

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// faulty panics in every handler of the protocol while it is asked to.
type faulty struct {
	*blockstest.Mem
	keeper
	on bool
}

func (f *faulty) check() {
	if f.on {
		panic("boom")
	}
}

func (f *faulty) Has(ctx context.Context, h mh.Multihash) (bool, error) {
	f.check()
	return f.Mem.Has(ctx, h)
}

func (f *faulty) View(ctx context.Context, h mh.Multihash, use func([]byte) error) error {
	f.check()
	return f.Mem.View(ctx, h, use)
}

func (f *faulty) Leases(ctx context.Context, h mh.Multihash) ([]blocks.Lease, error) {
	f.check()
	return f.Mem.Leases(ctx, h)
}

func (f *faulty) Offer(ctx context.Context, from peer.ID, l blocks.Lease, items []Item) ([]Status, error) {
	f.check()
	return f.keeper.Offer(ctx, from, l, items)
}

// A panic in any of the handlers costs the asker its answer, is counted, and costs nobody
// anything else: the next exchange is answered.
func TestAPanicInEachHandlerIsCountedAndSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, b := new(blockstest.Mem), blocks.New(cid.Raw, []byte("a block"))
		if err := mem.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		f := &faulty{Mem: mem, keeper: keeper{mem}}
		var log bytes.Buffer
		var caught []any
		c, p := pair(t, func(h host.Host) {
			t.Cleanup(Serve(h, f, f, f, Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Caught: func(v any) { caught = append(caught, v) }}))
		})
		l := lease(t, b.Cid())
		for i, handler := range []func() error{
			func() error { _, err := c.Fetch(t.Context(), p, b.Cid()); return err },
			func() error { _, err := c.Store(t.Context(), p, l, b); return err },
			func() error { _, err := c.States(t.Context(), p, []mh.Multihash{b.Hash()}); return err },
			func() error {
				_, err := c.Prove(t.Context(), p, make([]byte, nonceSize), []mh.Multihash{b.Hash()})
				return err
			},
			func() error { _, err := c.Leases(t.Context(), p, b.Hash()); return err },
		} {
			f.on = true
			err := handler()
			synctest.Wait()
			if err == nil || len(caught) != i+1 || caught[i] != "boom" {
				t.Errorf("handler %d: %v, told of %v; want an error, and %d of them", i, err, caught, i+1)
			}
			if f.on = false; handler() != nil {
				t.Errorf("handler %d does not answer afterwards", i)
			}
		}
		if n := strings.Count(log.String(), "block stream panicked"); n != 5 {
			t.Errorf("%d lines of log, want 5: %s", n, log.String())
		}
	})
}
