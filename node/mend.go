package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// What a get finds missing at a holder it brings there, under the lease that it learns from who
// gave it:
//
//	found at one, lacked by others → queue → leases of who gave it → who of them should hold it? → offer under each
//
// Nobody relies on it: what does not fit into the queue is left to the holders' own rounds. What
// has no standing lease is nobody's to keep, so that reading spreads nothing.
const (
	mendQueue = 64                     // blocks; they are in memory
	mendEvery = 100 * time.Millisecond // between two blocks: 10 MiB/s at the chunk size of a put
	mendTime  = time.Minute            // for one
)

// mender brings blocks to those holders that lacked them when they were read.
type mender struct {
	holders interface {
		Closest(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, exact bool, err error)
	}
	peers interface {
		Leases(ctx context.Context, p peer.ID, h mh.Multihash) ([]blocks.Lease, error)
		Offer(ctx context.Context, p peer.ID, l blocks.Lease, why wire.Reason, items []wire.Item, from wire.Lender, tell func(i int, a wire.Ack)) error
	}
	log   *slog.Logger
	queue chan fetch.Found
}

func newMender(holders *dht.Router, peers *wire.Client, log *slog.Logger) *mender {
	return &mender{holders: holders, peers: peers, log: log, queue: make(chan fetch.Found, mendQueue)}
}

// add queues f; it never waits.
func (m *mender) add(f fetch.Found) {
	select {
	case m.queue <- f:
	default: // the holders see to it
	}
}

// run mends what is queued, one block after the other, until ctx is done.
func (m *mender) run(ctx context.Context) error {
	pace := time.NewTicker(mendEvery)
	defer pace.Stop()
	for {
		select {
		case f := <-m.queue:
			if err := m.one(ctx, f); err != nil && ctx.Err() == nil {
				m.log.Debug("block read is not mended", "cid", f.Block.Cid(), "err", err)
			}
		case <-ctx.Done():
			return nil
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// one brings a block to those who lacked it and are its holders.
func (m *mender) one(ctx context.Context, f fetch.Found) error {
	ctx, cancel := context.WithTimeout(ctx, mendTime)
	defer cancel()
	h := f.Block.Hash()
	ls, err := m.peers.Leases(ctx, f.From, h)
	if err != nil {
		return err
	}
	ls = slices.DeleteFunc(ls, func(l blocks.Lease) bool { return l.Valid(time.Now()) != nil })
	var errs []error // where none stands it is merely read there too
	for _, l := range blocks.Standing(ls, time.Now()) {
		errs = append(errs, m.under(ctx, l, f))
	}
	return errors.Join(errs...)
}

// under is one under one of the leases that stand for the block: with the first come its bytes.
func (m *mender) under(ctx context.Context, l blocks.Lease, f fetch.Found) error {
	h := f.Block.Hash()
	near, exact, err := m.holders.Closest(ctx, h, l.R+1)
	if err != nil || !exact {
		return err
	}
	near = slices.DeleteFunc(near, func(p peer.ID) bool { return p == l.Publisher })
	var errs []error
	for _, p := range near[:min(len(near), l.R)] {
		if !slices.Contains(f.Lack, p) {
			continue
		}
		items := []wire.Item{{Hash: h, Size: len(f.Block.RawData())}}
		errs = append(errs, m.peers.Offer(ctx, p, l, wire.Repair, items, lent{f.Block}, func(_ int, a wire.Ack) {
			m.log.Debug("block read is brought to a holder that lacked it", "cid", f.Block.Cid(), "peer", p, "status", a.Status, "err", a.Err)
		}))
	}
	return errors.Join(errs...)
}

// lent lends one block.
type lent struct{ b blocks.Block }

// View is wire.Lender's.
func (l lent) View(_ context.Context, _ mh.Multihash, f func([]byte) error) error {
	return f(l.b.RawData())
}

// closer is who keeps h in the place of this peer, and who is nearer to it, for who asks this
// peer for what it has not got.
func (n *Node) closer(_ context.Context, h mh.Multihash) (infos []peer.AddrInfo) {
	if p, ok := n.set.InPlace(h); ok {
		if ai, ok := n.router.Addressed(p); ok {
			infos = append(infos, ai)
		}
	}
	return append(infos, n.router.Nearer(h, n.cfg.Replica.R)...)
}
