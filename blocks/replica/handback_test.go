package replica_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// filled is a network of n peers of which one, the first, has its space taken by n blocks of
// 100 bytes that nobody else is to hold, each under a lease of its own.
func filled(t *testing.T, n, blocksOf int, cfg replica.Config) (m *mesh, at peer.ID, filler []blocks.Lease) {
	t.Helper()
	ids := named(n)
	at = ids[0]
	m = meshWith(ids, cfg, func(p peer.ID, c *replica.Config) {
		if p == at {
			c.Quota = int64(100 * blocksOf)
		}
	})
	m.flags, m.lag = true, 20*time.Millisecond
	for i := 0; len(filler) < blocksOf; i++ {
		b := blocks.New(cid.Raw, blockstest.Random(uint64(90_000+i), 100))
		if keyspace.Nearest(keyspace.OfHash(b.Hash()), ids, 1)[0] != at {
			continue
		}
		l, err := blocks.Grant(blockstest.Key(2), blocks.Lease{Root: b.Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(48 * time.Hour), R: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.set[at].Keep(t.Context(), "somebody", l, b); err != nil {
			t.Fatal(err)
		}
		filler = append(filler, l)
	}
	return m, at, filler
}

// free ends that at keeps the block of l.
func (m *mesh) free(t *testing.T, at peer.ID, l blocks.Lease) {
	t.Helper()
	l.Seq, l.State = l.Seq+1, blocks.LeaseRevoked
	over, err := blocks.Grant(blockstest.Key(2), l)
	if err != nil {
		t.Fatal(err)
	}
	if err := replica.LeaseNews(m.mem[at])(t.Context(), replica.LeaseRecord(over)); err != nil {
		t.Fatal(err)
	}
	if gone, err := m.set[at].Forget(t.Context(), l.Root.Hash()); err != nil || len(gone) != 1 {
		t.Fatalf("%d forgotten, %v", len(gone), err)
	}
}

// due is how many of bs at is to hold, as one of the r closest, and how many of these it does.
func (m *mesh) due(t *testing.T, at peer.ID, bs []blocks.Block, r int) (due, held int) {
	t.Helper()
	for _, b := range bs {
		for _, p := range m.nearest(b.Hash(), r) {
			if p != at {
				continue
			}
			due++
			if st, err := wire.StateOf(t.Context(), m.mem[p], m.mem[p], b.Hash()); err == nil && st == wire.Held {
				held++
			}
		}
	}
	return due, held
}

// A peer at the end of its space is given a block for each that it has let go, and no more:
// what it refused it is offered seldom. When there is room it takes its places back, and
// nothing moves from then on. The control remembers no refusal, and offers all the time.
func TestWhoHasRoomAgainTakesItsPlaceBack(t *testing.T) {
	const r = 3
	offers := map[bool]int{}
	for _, off := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cfg := crowd(4)
			cfg.R, cfg.NoHandoff = r, off
			m, at, filler := filled(t, 12, 40, cfg)
			m.run(t)
			bs, _, err := m.publish(t, cfg, 80, r)
			if err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
			due, held := m.due(t, at, bs, r)
			if due < 10 || held > 0 || m.below(bs, r) > 0 {
				t.Fatalf("the one without room holds %d of %d, %d blocks are short: this test shows nothing", held, due, m.below(bs, r))
			}
			before, moved := m.refusedBy(at), m.moved()
			const hovers = 6
			for i := range hovers {
				m.free(t, at, filler[i])
				time.Sleep(time.Minute)
			}
			offers[off] = m.refusedBy(at) - before
			_, held = m.due(t, at, bs, r)
			if n := m.moved() - moved; !off && n > hovers || held > hovers {
				t.Errorf("%d blocks moved, %d are held, when room for %d came free", n, held, hovers)
			}
			if off {
				return
			}
			for _, l := range filler[hovers:] {
				m.free(t, at, l)
			}
			time.Sleep(5 * time.Minute)
			if _, held = m.due(t, at, bs, r); held != due {
				t.Errorf("with room again it holds %d of %d", held, due)
			}
			moved = m.moved()
			time.Sleep(2 * time.Minute)
			if n := m.moved() - moved; n > 0 {
				t.Errorf("%d blocks moved when all is in its place", n)
			}
		})
	}
	t.Logf("blocks that it refused in 6 minutes: %d, without a memory %d", offers[false], offers[true])
	if offers[true] < 2*offers[false] {
		t.Error("without a memory it is asked hardly more often: this test cannot fail")
	}
}
