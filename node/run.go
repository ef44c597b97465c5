package node

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Run keeps the peer's promises until ctx is done or one of them breaks. All
// that goes on by itself in this program is a line here.
func (n *Node) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.router.Run(ctx) }) // finds the network and watches it
	g.Go(func() error { return n.set.Run(ctx) })    // places what was put, repairs what is held
	g.Go(func() error { return n.remember(ctx) })   // writes down who is there, for the next start
	g.Go(func() error { return n.discover(ctx) })   // finds peers on the LAN
	g.Go(func() error { return n.record.run(ctx) }) // puts the kept roots on record
	g.Go(func() error { return n.tidy(ctx) })       // forgets what was read longest ago
	g.Go(func() error { return n.relieve(ctx) })    // forgets what leases held that are over, for others who need the space
	g.Go(func() error { return n.deny.Run(ctx) })   // reads the denylists anew when they change
	if n.recs != nil {
		g.Go(func() error { return n.recs.Run(ctx) })  // keeps small signed records level among their keepers
		g.Go(func() error { return n.renewing(ctx) })  // renews the leases of what is pinned here
		g.Go(func() error { return n.republish(ctx) }) // renews the records of the names of the keys here
		g.Go(func() error { return n.gossip(ctx) })    // passes on what is new of names
	}
	if n.public != nil {
		g.Go(func() error { return n.public.run(ctx) }) // puts the kept roots on record in the public IPFS DHT
	}
	if n.mender != nil {
		g.Go(func() error { return n.mender.run(ctx) }) // brings what was read to holders that lacked it
	}
	if n.disk != nil {
		g.Go(func() error { return n.disk.Run(ctx) }) // compacts the store and looks for rot
	}
	return g.Wait()
}
