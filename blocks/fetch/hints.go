package fetch

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The most peers that are asked for one block because somebody who lacks it named them, and
// how many of them one peer may name; of those that are farther from the key than itself, to
// which it has left its place, the first alone counts.
const (
	hintsMost = 8
	hintsEach = 3
)

// hint is what an error of [Peers] may say besides: who may have a block.
type hint interface {
	error
	Closer() []peer.AddrInfo
}

// trail is what one search for a block has come by:
//
//	asked → miss, with hints → nearer to the key than who gave them? → asked …
//
// Each step must lead nearer, but for the one peer to which another has left its place, and
// nobody is asked twice, so that there is no way round in a circle; made up peers are bounded
// besides.
type trail struct {
	key    keyspace.Key
	asked  []peer.ID
	lack   []peer.ID       // answered that they have not got it
	named  []peer.AddrInfo // by those, and not asked
	follow int             // hints that may still be followed

	told atomic.Pointer[[]peer.ID] // the first of asked, for others to read
}

func newTrail(c cid.Cid, self peer.ID) *trail {
	return &trail{key: keyspace.OfHash(c.Hash()), asked: []peer.ID{self}, follow: hintsMost}
}

// count is how many peers were asked.
func (t *trail) count() int { return len(t.asked) - 1 }

// ask notes who is asked next.
func (t *trail) ask(ps []peer.ID) {
	t.asked = append(t.asked, ps...)
	first := slices.Clone(t.asked[1:min(len(t.asked), 1+blocks.MissPeers)])
	t.told.Store(&first)
}

// first gives the first of those who were asked. It may be called by anybody at any time.
func (t *trail) first() []peer.ID {
	if ps := t.told.Load(); ps != nil {
		return *ps
	}
	return nil
}

// missed notes that p has not got the block, and whom it names. It gives who keeps the block
// in p's place, as p says, if there is one: that one is asked next.
func (t *trail) missed(p peer.ID, err error) (instead peer.AddrInfo) {
	t.lack = append(t.lack, p)
	var h hint
	if !errors.As(err, &h) {
		return instead
	}
	n, own := 0, keyspace.OfPeer(p)
	all := h.Closer()
	if len(all) > 0 && keyspace.Closer(t.key, keyspace.OfPeer(all[0].ID), own) > 0 {
		instead, all = all[0], all[1:]
	}
	for _, ai := range all {
		known := slices.ContainsFunc(t.named, func(o peer.AddrInfo) bool { return o.ID == ai.ID })
		if n < hintsEach && !known && keyspace.Closer(t.key, keyspace.OfPeer(ai.ID), own) < 0 {
			n++
			t.named = append(t.named, ai)
		}
	}
	return instead
}

// lead gives ps, of which the first n were asked, with who is to be asked in another's place
// next. It was to be asked anyway, or counts as a hint that is followed.
func (t *trail) lead(ps []peer.ID, n int, to peer.AddrInfo, known func(peer.AddrInfo) bool) []peer.ID {
	switch i := slices.Index(ps, to.ID); {
	case to.ID == "" || known == nil || i >= 0 && i < n:
		return ps
	case i >= 0:
		ps = slices.Delete(slices.Clone(ps), i, i+1)
	case t.follow == 0 || slices.Contains(t.asked, to.ID) || !known(to):
		return ps
	default:
		t.follow--
		t.ask([]peer.ID{to.ID})
		ps = slices.Clone(ps)
	}
	return slices.Insert(ps, n, to.ID)
}

// next takes those named that were not asked, nearest first.
func (t *trail) next(known func(peer.AddrInfo) bool) (ids []peer.ID) {
	slices.SortStableFunc(t.named, func(a, b peer.AddrInfo) int {
		return keyspace.Closer(t.key, keyspace.OfPeer(a.ID), keyspace.OfPeer(b.ID))
	})
	for _, ai := range t.named {
		if t.follow > 0 && !slices.Contains(t.asked, ai.ID) && known(ai) {
			t.follow--
			ids = append(ids, ai.ID)
		}
	}
	t.named = nil
	return ids
}

// hinted asks those whom others named, and whom those name in turn.
func (f *Fetcher) hinted(ctx context.Context, c cid.Cid, s *session, t *trail) (blocks.Block, error) {
	var failed error
	for f.cfg.Named != nil && ctx.Err() == nil {
		next := t.next(f.cfg.Named)
		if len(next) == 0 {
			break
		}
		b, err := f.first(ctx, next, c, s, t)
		if err == nil {
			return b, nil
		}
		if !blocks.IsNotFound(err) {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		return blocks.Block{}, failed
	}
	return blocks.Block{}, blocks.NotFound(c)
}
