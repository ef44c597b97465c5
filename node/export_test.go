package node

import (
	"context"
	"iter"
	"log/slog"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// MDNSService is Config's, for tests.
func MDNSService(c Config) string { return c.mdnsService() }

// Records is a queue of records that are left by provide; run is its life.
func Records(provide func(context.Context, mh.Multihash) error, pins func(context.Context) iter.Seq2[blocks.Pin, error], ready <-chan struct{}) (add func(cid.Cid), run func(context.Context) error) {
	p := &provider{provide: provide, pins: pins, ready: ready, log: slog.New(slog.DiscardHandler), queue: make(chan cid.Cid, provideQueue)}
	return p.add, p.run
}

// Batches is how a put hands its blocks to put: add takes one, end waits for those that were sent.
func Batches(put func(context.Context, ...blocks.Block) error) (add func(context.Context, blocks.Block) error, end func() error) {
	w := &batches{put: put}
	return w.add, w.end
}
