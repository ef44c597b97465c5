package replica

import (
	"context"
	"time"

	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// coming is a block that a peer was told to bring, and that is not here yet. Whoever
// else offers it is answered when it has come, or when its bringer has been silent for
// half a linger: bytes that are on their way are not sent twice.
type coming struct {
	from peer.ID
	at   time.Time // when it was asked for
	here chan struct{}
}

// maxComing bounds the blocks that are known to come: of what is beyond it some may be sent twice.
const maxComing = 1 << 14

// expects notes that from brings those of items that out wants of it.
func (s *Set) expects(from peer.ID, items []wire.Item, out []wire.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.coming) > 2*wire.Batch {
		for h, c := range s.coming {
			if s.silentForLocked(c, now) <= 0 {
				delete(s.coming, h)
			}
		}
	}
	for i, it := range items {
		if out[i] == 0 && s.coming[string(it.Hash)] == nil && len(s.coming) < maxComing {
			s.coming[string(it.Hash)] = &coming{from: from, at: now, here: make(chan struct{})}
		}
	}
}

// arrived notes that from has brought hs.
func (s *Set) arrived(from peer.ID, hs []mh.Multihash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range hs {
		if c := s.coming[string(h)]; c != nil {
			close(c.here)
			delete(s.coming, string(h))
		}
	}
	s.brought[from] = time.Now()
	if len(s.brought) > wire.Batch {
		for p, at := range s.brought {
			if time.Since(at) > s.cfg.Linger {
				delete(s.brought, p)
			}
		}
	}
}

// silentForLocked is how much longer the bringer of c may be silent.
func (s *Set) silentForLocked(c *coming, now time.Time) time.Duration {
	last := c.at
	if at := s.brought[c.from]; at.After(last) {
		last = at
	}
	return s.cfg.Linger/2 - now.Sub(last)
}

// awaits waits, for a linger at most, for those of items that out would want of from
// and that somebody else is bringing.
func (s *Set) awaits(ctx context.Context, from peer.ID, items []wire.Item, out []wire.Status) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Linger)
	defer cancel()
	for i, it := range items {
		for out[i] == 0 {
			s.mu.Lock()
			c, left := s.coming[string(it.Hash)], time.Duration(0)
			if c != nil {
				if left = s.silentForLocked(c, time.Now()); left <= 0 {
					delete(s.coming, string(it.Hash))
				}
			}
			s.mu.Unlock()
			if c == nil || c.from == from || left <= 0 {
				break
			}
			select {
			case <-c.here:
			case <-time.After(left):
			case <-ctx.Done():
				return
			}
		}
	}
}
