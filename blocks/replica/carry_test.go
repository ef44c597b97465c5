package replica_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
)

// tracked counts the offers that are under way to a peer at a time.
type tracked struct {
	*world
	now, most atomic.Int32
}

func (c *tracked) Offer(ctx context.Context, p peer.ID, l blocks.Lease, why wire.Reason, items []wire.Item, from wire.Lender, tell func(int, wire.Ack)) error {
	if n := c.now.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	defer c.now.Add(-1)
	time.Sleep(time.Second)
	return c.world.Offer(ctx, p, l, why, items, from, tell)
}

// A holder that is asked to pass a block on while it is doing so already, as by a
// publisher that was killed and came back, does not bring it a second time meanwhile.
func TestWhatIsBeingPassedOnIsNotPassedOnTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tracked{world: newWorld("a", "b", "c", "d")}
		_, l, _, bs := publisherWith(t, newWorld(), 1, 3, quick)
		near, _, _ := w.Closest(t.Context(), bs[0].Hash(), 3)
		mem := w.have[near[0]]
		if err := mem.Put(t.Context(), bs[0]); err != nil {
			t.Fatal(err)
		}
		s := replica.New(near[0], mem, mem, w, w, quick)
		said := make(chan wire.Ack, 2)
		for range 2 {
			go func() {
				s.Pass(t.Context(), l.Publisher, l, []wire.Item{{Hash: bs[0].Hash(), Size: 100, Fanout: true}}, func(_ int, a wire.Ack) { said <- a })
			}()
		}
		for range 2 {
			if a := <-said; a.Peer != near[2] || a.Status == wire.Failed {
				t.Errorf("it says %+v", a)
			}
		}
		if n := w.most.Load(); n != 1 {
			t.Errorf("%d offers of one block to one peer at a time", n)
		}
	})
}
