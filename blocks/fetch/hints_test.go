package fetch_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// ranked are n made up peers, nearest to x first.
func ranked(n int) (ps []peer.ID) {
	for i := range n {
		ps = append(ps, peer.ID(fmt.Sprint("peer ", i)))
	}
	return keyspace.Nearest(keyspace.OfHash(x.Hash()), ps, n)
}

// names lacks the block and names others.
func names(ps ...peer.ID) func(context.Context) (blocks.Block, error) {
	var m wire.Missing
	m.Key = x.Hash()
	for _, p := range ps {
		m.Hint = append(m.Hint, peer.AddrInfo{ID: p})
	}
	return func(context.Context) (blocks.Block, error) { return blocks.Block{}, &m }
}

func all(peer.AddrInfo) bool { return true }

// When all who should have a block lack it, those whom they name are asked, and those whom
// these name; the control does not follow.
func TestHintsAreFollowed(t *testing.T) {
	ps := ranked(10)
	peers := says{ps[9]: names(ps[6]), ps[8]: lacks, ps[6]: names(ps[2]), ps[2]: after(0)}
	for name, named := range map[string]func(peer.AddrInfo) bool{"followed": all, "control": nil} {
		f := fetch.New("me", new(blockstest.Mem), near{ps[9], ps[8]}, peers, fetch.Config{Named: named})
		if _, err := f.Get(t.Context(), x.Cid()); (err == nil) != (named != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A block that somebody named has is checked like any other; what he sends that is wrong is
// not the answer.
func TestAHintToALiarIsNoAnswer(t *testing.T) {
	ps := ranked(10)
	peers := says{ps[9]: names(ps[6], ps[2]), ps[6]: liar, ps[2]: after(0)}
	f := fetch.New("me", new(blockstest.Mem), near{ps[9]}, peers, fetch.Config{Named: all})
	if b, err := f.Get(t.Context(), x.Cid()); err != nil || string(b.RawData()) != "x" {
		t.Errorf("got %q, %v", b.RawData(), err)
	}
}

// attackers answer every question with a miss that names others, as their strategy says.
type attackers struct {
	name  func(from peer.ID) []peer.ID
	asked atomic.Int32
}

func (a *attackers) Fetch(ctx context.Context, p peer.ID, _ cid.Cid) (blocks.Block, error) {
	a.asked.Add(1)
	select {
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
		return blocks.Block{}, ctx.Err()
	}
	return names(a.name(p)...)(ctx)
}

// Misses that name each other, or peers that were made up for the purpose, each nearer than
// the last, end after a few questions with the answer that nobody has the block.
func TestEndlessMissesEnd(t *testing.T) {
	ps, key := ranked(40), keyspace.OfHash(x.Hash())
	nearer := func(p peer.ID) (out []peer.ID) { // ground until it is nearer
		for i := uint64(0); len(out) < 5; i++ {
			id := peer.ID(fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s %d", p, i))))
			if i > 2000 || keyspace.Closer(key, keyspace.OfPeer(id), keyspace.OfPeer(p)) < 0 {
				out = append(out, id)
			}
		}
		return out
	}
	for name, strategy := range map[string]func(peer.ID) []peer.ID{
		"itself":       func(p peer.ID) []peer.ID { return []peer.ID{p} },
		"in a circle":  func(p peer.ID) []peer.ID { return ps[:8] },
		"me":           func(p peer.ID) []peer.ID { return []peer.ID{"me"} },
		"ever nearer":  nearer,
		"ever farther": func(p peer.ID) []peer.ID { return ps[32:] },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &attackers{name: strategy}
				f := fetch.New("me", new(blockstest.Mem), near(ps[20:30]), a, fetch.Config{Named: all})
				t0 := time.Now()
				if _, err := f.Get(t.Context(), x.Cid()); !blocks.IsNotFound(err) {
					t.Errorf("%v, want that nobody has it", err)
				}
				if n := a.asked.Load(); n > 10+8 || time.Since(t0) > time.Second {
					t.Errorf("%d questions in %v", n, time.Since(t0))
				}
			})
		})
	}
}

// changing knows other peers after a lookup.
type changing struct{ before, after near }

func (c changing) Closest(ctx context.Context, h mh.Multihash, k int) ([]peer.ID, bool, error) {
	return c.before.Closest(ctx, h, k)
}

func (c changing) Afresh(ctx context.Context, h mh.Multihash, k int) ([]peer.ID, error) {
	return c.after.Afresh(ctx, h, k)
}

// What counts as known may be old: when nobody of those has a block, one fresh lookup is made
// before those on record are asked.
func TestAFreshLookupFindsWhoCameSince(t *testing.T) {
	var asked atomic.Int32
	record := func(context.Context) (blocks.Block, error) { asked.Add(1); return x, nil }
	f := fetch.New("me", new(blockstest.Mem), changing{near{"old"}, near{"old", "new"}},
		says{"old": lacks, "new": after(0), "r": record}, fetch.Config{Records: recorded{"r"}})
	if _, err := f.Get(t.Context(), x.Cid()); err != nil || asked.Load() > 0 {
		t.Errorf("%v, those on record asked %d times", err, asked.Load())
	}
}

// Who answered that he lacks a block is told to the caller, with who had it; who is merely
// slow, or lies, is not.
func TestWhoLacksABlockIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []fetch.Found
		f := fetch.New("me", new(blockstest.Mem), near{"lacks", "liar", "sleeper", "friend"},
			says{"lacks": lacks, "liar": liar, "sleeper": sleeper, "friend": after(0)},
			fetch.Config{Spread: 1, Mend: func(found fetch.Found) { told = append(told, found) }})
		if _, err := f.Get(t.Context(), x.Cid()); err != nil {
			t.Fatal(err)
		}
		if len(told) != 1 || told[0].From != "friend" || len(told[0].Lack) != 1 || told[0].Lack[0] != "lacks" {
			t.Errorf("told %+v", told)
		}
	})
}

// Who lacks a block and names one that is farther from it than itself is taken to say who keeps
// it in its place: that one is asked at once, before the others who may have it, and one who
// nobody would have asked too. The control follows no hints.
func TestWhoStandsInIsAskedAtOnce(t *testing.T) {
	ps := ranked(20)
	for _, at := range []int{9, 15} { // among those who are asked anyway, and not
		for name, named := range map[string]func(peer.AddrInfo) bool{"followed": all, "control": nil} {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				lack := func(ctx context.Context) (blocks.Block, error) { asked.Add(1); return lacks(ctx) }
				peers := says{}
				for _, p := range ps {
					peers[p] = lack
				}
				for _, p := range ps[:5] {
					peers[p] = func(ctx context.Context) (blocks.Block, error) { asked.Add(1); return names(ps[at])(ctx) }
				}
				peers[ps[at]] = after(0)
				f := fetch.New("me", new(blockstest.Mem), near(ps[:10]), peers, fetch.Config{Named: named})
				_, err := f.Get(t.Context(), x.Cid())
				if n := asked.Load(); named != nil && (err != nil || n != 1) || named == nil && n < 2 {
					t.Errorf("%s, at %d: %d asked in vain, %v", name, at, n, err)
				}
			})
		}
	}
}

// Those that name ever other peers as standing in for them lead nobody far: each names one, and
// all of them together no more than hints are followed.
func TestWhoIsSaidToStandInIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := ranked(60)
		a := &attackers{}
		a.name = func(p peer.ID) (out []peer.ID) {
			i := slices.Index(ps, p)
			return ps[min(i+1, len(ps)-1):]
		}
		f := fetch.New("me", new(blockstest.Mem), near(ps[:10]), a, fetch.Config{Named: all})
		if _, err := f.Get(t.Context(), x.Cid()); !blocks.IsNotFound(err) {
			t.Errorf("%v, want that nobody has it", err)
		}
		if n := a.asked.Load(); n > 10+8 {
			t.Errorf("%d questions", n)
		}
	})
}
