package replica

import (
	"context"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// offerOnce is Peers.Offer for copies that several parts of this peer may think of at once:
// what is passed on, what is passed on once more for a publisher that came back, and what
// repair gives. What one of them is bringing to p the others do not bring meanwhile: they
// wait until it has ended, for half a linger at most, and then hear that it is there.
func (s *Set) offerOnce(ctx context.Context, p peer.ID, l blocks.Lease, why wire.Reason, items []wire.Item, tell func(i int, a wire.Ack)) error {
	own := s.takeUp(ctx, p, items)
	defer func() {
		for i := range items {
			s.layDown(own, i)
		}
	}()
	return s.peers.Offer(ctx, p, l, why, items, s.store, func(i int, a wire.Ack) {
		if a.Peer == "" {
			s.layDown(own, i)
		}
		tell(i, a)
	})
}

// load is a block that is being brought to somebody; done is closed when that has ended.
type load struct {
	key  string
	done chan struct{}
}

func loadKey(p peer.ID, h mh.Multihash) string { return string(p) + string(h) }

// takeUp waits for what others are bringing to p of items, and notes of the rest that it
// is being brought now: those of own that are not nil.
func (s *Set) takeUp(ctx context.Context, p peer.ID, items []wire.Item) (own []*load) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Linger/2)
	defer cancel()
	own = make([]*load, len(items))
	for {
		s.mu.Lock()
		var busy *load
		for _, it := range items {
			if busy = s.carried[loadKey(p, it.Hash)]; busy != nil {
				break
			}
		}
		if busy == nil || ctx.Err() != nil {
			for i, it := range items {
				if key := loadKey(p, it.Hash); s.carried[key] == nil {
					own[i] = &load{key, make(chan struct{})}
					s.carried[key] = own[i]
				}
			}
			s.mu.Unlock()
			return own
		}
		s.mu.Unlock()
		select {
		case <-busy.done:
		case <-ctx.Done():
		}
	}
}

// layDown notes that item i of own has ended, once.
func (s *Set) layDown(own []*load, i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := own[i]; o != nil && s.carried[o.key] == o {
		delete(s.carried, o.key)
		close(o.done)
	}
}
