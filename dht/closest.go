package dht

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	kbucket "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Closest gives the n live members nearest to h, this peer among them when it is
// one of them, nearest first. exact says that no member of the network is closer
// than those given, as far as a fresh look at that part of the keyspace showed.
// It answers [ErrAlone] when this peer knows no other.
func (r *Router) Closest(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, exact bool, err error) {
	seats, exact, err := r.seats(ctx, h, n, false)
	for _, s := range seats {
		ids = append(ids, s.peer)
	}
	return ids, exact, err
}

// Seats is [Router.Closest] for those who repair: a member that was lost keeps its
// place until the grace has passed, so that a short absence moves nothing. alive[i]
// says whether ids[i] can be reached now.
func (r *Router) Seats(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, alive []bool, err error) {
	seats, _, err := r.seats(ctx, h, n, true)
	for _, s := range seats {
		ids, alive = append(ids, s.peer), append(alive, s.alive)
	}
	return ids, alive, err
}

// seat is a member's place near a key.
type seat struct {
	peer  peer.ID
	alive bool // false: lost, but not for longer than the grace
}

// hurry is how long the view must do after a lookup that did not end in time. Live
// connections keep it true near this peer, and the ends of others show.
const hurry = 10 * time.Second

func (r *Router) seats(ctx context.Context, h mh.Multihash, n int, lost bool) ([]seat, bool, error) {
	key := keyspace.OfHash(h)
	r.mu.Lock()
	exact := r.view.exact(key, n, time.Now())
	r.mu.Unlock()
	for asked := false; ; {
		if !exact && !asked {
			asked = true
			if err := r.ask(ctx, key, h, n); err != nil {
				return nil, false, err
			}
		}
		seats, err := r.fill(ctx, key, n, lost)
		if err != nil {
			return nil, false, fmt.Errorf("dht: closest to %s: %w", h.B58String(), err)
		}
		r.mu.Lock()
		if len(seats) == n && n > 0 {
			exact = r.view.coverage.Within(key, keyspace.OfPeer(seats[n-1].peer), time.Now())
		} else {
			exact = r.view.whole(time.Now())
		}
		r.mu.Unlock()
		if exact || asked {
			return seats, exact, nil
		}
	}
}

// fill takes the n closest seats by what is known.
func (r *Router) fill(ctx context.Context, key keyspace.Key, n int, lost bool) (seats []seat, err error) {
	r.mu.Lock()
	candidates := r.view.candidates(key, n)
	r.mu.Unlock()
	for len(candidates) > 0 && len(seats) < n {
		next := candidates[:min(len(candidates), n-len(seats))]
		candidates = candidates[len(next):]
		for i, ok := range r.alive(ctx, next) {
			switch {
			case ok:
				seats = append(seats, seat{next[i], true})
			case lost && r.inGrace(next[i]):
				seats = append(seats, seat{next[i], false})
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return seats, nil
}

// ask makes one lookup for a question, unless somebody else's answers it too. It is
// an error only when what is known before it does not do either.
func (r *Router) ask(ctx context.Context, key keyspace.Key, h mh.Multihash, n int) error {
	for {
		r.mu.Lock()
		if time.Now().Before(r.hurried) && len(r.view.members) > 1 {
			r.mu.Unlock()
			return nil
		}
		if r.state != Ready { // what a cold table answers is no answer to others
			r.mu.Unlock()
			break
		}
		part := keyspace.PrefixOf(key, r.wide)
		others := r.asking[part]
		if others == nil {
			done := make(chan struct{})
			r.asking[part] = done
			r.mu.Unlock()
			defer func() {
				r.mu.Lock()
				delete(r.asking, part)
				r.mu.Unlock()
				close(done)
			}()
			break
		}
		r.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
			return fmt.Errorf("dht: lookup: %w", ctx.Err())
		}
		r.mu.Lock()
		exact := r.view.exact(key, n, time.Now())
		r.mu.Unlock()
		if exact {
			return nil
		}
	}
	limited, cancel := context.WithTimeout(ctx, r.cfg.Lookup)
	defer cancel()
	_, err := r.lookup(limited, key, string(h))
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil || len(r.view.members) <= 1: // nobody but this peer
		return err
	case errors.Is(err, context.DeadlineExceeded): // somebody on the way hangs: for a while what is known must do
		r.hurried = time.Now().Add(hurry)
		return nil
	case errors.Is(err, ErrAlone): // the table is cold, but connections are there
		return nil
	}
	return err
}

// lookup asks the network for the peers closest to key, and notes what part of
// the keyspace its answer shows whole. What it found before an error it gives too.
func (r *Router) lookup(ctx context.Context, key keyspace.Key, raw string) ([]peer.ID, error) {
	r.lookups.Add(1)
	found, err := r.kad.GetClosestPeers(ctx, raw)
	if errors.Is(err, kbucket.ErrLookupFailure) || err == nil && len(found) == 0 {
		return nil, ErrAlone
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, p := range found {
		r.view.named(p, r.strange(p), now)
	}
	if err != nil {
		return found, fmt.Errorf("dht: lookup: %w", err)
	}
	if r.state == Ready { // a cold table's answers look complete and are not
		r.showsLocked(key, found, now)
	}
	return found, nil
}

// showsLocked enters what the full answer to a lookup shows.
func (r *Router) showsLocked(key keyspace.Key, found []peer.ID, now time.Time) {
	keys := make([]keyspace.Key, len(found))
	for i, p := range found {
		keys[i] = keyspace.OfPeer(p)
	}
	shown := keyspace.Shown(key, keys, r.kad.BucketSize())
	for i, p := range shown {
		if i == 0 {
			r.wide = max(p.Bits-spare, 0)
		}
		r.view.coverage.Cover(p, now, now.Add(r.cfg.Coverage))
	}
}

// alive reports for each of ps whether it is a member and can be reached now.
func (r *Router) alive(ctx context.Context, ps []peer.ID) []bool {
	ok := make([]bool, len(ps))
	var wg sync.WaitGroup // ends with the dials, each of which has a deadline
	for i, p := range ps {
		r.mu.Lock()
		m := r.view.members[p]
		met, suspect := m != nil && m.met, m != nil && !m.gone.IsZero()
		r.mu.Unlock()
		switch {
		case p == r.self:
			ok[i] = r.serves()
		case suspect: // it is tried again elsewhere
		case met && r.host.Network().Connectedness(p) == network.Connected:
			ok[i] = r.isMember(p)
		default:
			wg.Go(func() { ok[i] = r.dial(ctx, p, false) && r.IsMember(p) })
		}
	}
	wg.Wait()
	return ok
}
