package node

import (
	"context"
	"iter"
	"log/slog"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
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

// Meeting is how those who listen to a topic find each other.
type Meeting struct{ m *meeting }

// NewMeeting makes one of what it asks others.
func NewMeeting(provide func(context.Context, mh.Multihash) error, providers func(context.Context, mh.Multihash, int) ([]peer.ID, error),
	connect func(context.Context, peer.ID) error, listeners func() int) *Meeting {
	return &Meeting{&meeting{provide: provide, providers: providers, connect: connect, listeners: listeners, log: slog.New(slog.DiscardHandler)}}
}

func (m *Meeting) Run(ctx context.Context)   { m.m.run(ctx) }
func (m *Meeting) Greet(ctx context.Context) { m.m.greet(ctx) }

// NetsMatter reports whether Config has holders chosen by their nets too.
func NetsMatter(c Config) bool { return c.places(new(dht.Router)) != nil }

// Mending is what reads are mended with.
type Mending interface {
	Closest(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, exact bool, err error)
	Leases(ctx context.Context, p peer.ID, h mh.Multihash) ([]blocks.Lease, error)
	Offer(ctx context.Context, p peer.ID, l blocks.Lease, why wire.Reason, items []wire.Item, from wire.Lender, tell func(i int, a wire.Ack)) error
}

// MendOne brings a block that was read to those that lacked it.
func MendOne(ctx context.Context, with Mending, f fetch.Found) error {
	m := &mender{holders: with, peers: with, log: slog.New(slog.DiscardHandler)}
	return m.one(ctx, f)
}
