package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/dht"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// The roots that this peer keeps are on record in the DHT, so that what nobody
// was asked to hold is found as long as its author lives. A put only queues its
// root; a record that is lost on the way is made by the next round.
const (
	provideQueue = 1024
	provideEvery = dht.RecordLife/2 - 2*time.Hour // so that one round may fail
	provideRetry = time.Minute                    // after a record was not left
	provideTime  = time.Minute                    // for one
	provideAt    = 4                              // at a time
)

// provider puts roots on record.
type provider struct {
	provide func(ctx context.Context, h mh.Multihash) error
	pins    func(ctx context.Context) iter.Seq2[blocks.Pin, error]
	ready   <-chan struct{} // closed once the network is known
	log     *slog.Logger

	queue chan cid.Cid
}

func newProvider(to records, l blocks.Ledger, log *slog.Logger) *provider {
	return &provider{provide: to.Provide, pins: l.Pins, ready: to.Ready(), log: log, queue: make(chan cid.Cid, provideQueue)}
}

// add queues root; it never waits. When the queue is full the next round has it.
func (p *provider) add(root cid.Cid) {
	select {
	case p.queue <- root:
	default:
		p.log.Debug("record left to the next round", "root", root)
	}
}

// records are where roots are put on record: our DHT, and the public one.
type records interface {
	Provide(ctx context.Context, h mh.Multihash) error
	Ready() <-chan struct{}
}

// Provide leaves a record in our network at once that this peer has root.
func (n *Node) Provide(ctx context.Context, root cid.Cid) error { return n.record.one(ctx, root) }

// run leaves the records of what is queued and, round by round, of every pin.
func (p *provider) run(ctx context.Context) error {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return nil
	}
	var g errgroup.Group
	g.SetLimit(provideAt)
	failed := make(chan cid.Cid, provideQueue)
	one := func(root cid.Cid) {
		g.Go(func() error {
			if err := p.one(ctx, root); err != nil && ctx.Err() == nil {
				p.log.Debug("record not left", "root", root, "err", err)
				select {
				case failed <- root:
				default: // the next round has it
				}
			}
			return nil
		})
	}
	round, retry := time.NewTimer(0), time.NewTicker(provideRetry)
	defer round.Stop()
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return g.Wait()
		case root := <-p.queue:
			one(root)
		case <-retry.C:
			for range len(failed) {
				one(<-failed)
			}
		case <-round.C:
			for pin, err := range p.pins(ctx) {
				if err != nil {
					if ctx.Err() == nil {
						p.log.Warn("records of pins not renewed", "err", err)
					}
					break
				}
				for range len(p.queue) { // what was put just now comes first
					one(<-p.queue)
				}
				one(pin.Root)
			}
			round.Reset(provideEvery)
		}
	}
}

// one leaves the record of root.
func (p *provider) one(ctx context.Context, root cid.Cid) error {
	if root.Prefix().MhType == mh.IDENTITY {
		return nil // whoever knows it has it
	}
	ctx, cancel := context.WithTimeout(ctx, provideTime)
	defer cancel()
	if err := p.provide(ctx, root.Hash()); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("provide: %w", err)
	}
	return ctx.Err()
}
