package replica_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// crowd is the timing of a testnet, with repair.
func crowd(seed uint64) replica.Config {
	return replica.Config{R: 5, Every: 10 * time.Second, SyncEvery: 10 * time.Second, AfterChange: time.Second, PutIdle: 10 * time.Second,
		Linger: 2500 * time.Millisecond, Full: 6 * time.Minute, Backup: 2 * time.Second, Fanout: 2, Rate: -1, PeerRate: -1, Quota: -1,
		Rand: rand.New(rand.NewPCG(seed, seed))}
}

// named are n peers, the first full of which are to be without room.
func named(n int) (ids []peer.ID) {
	for i := range n {
		ids = append(ids, peer.ID(fmt.Sprintf("peer-%03d", i)))
	}
	return ids
}

// publishedBlock is the nth of what is published.
func publishedBlock(n int) blocks.Block {
	return blocks.New(cid.Raw, blockstest.Random(uint64(5000+n), 100))
}

// publish has a peer that is no member put n blocks of 100 bytes in r copies, and gives the
// blocks, and how far the put came.
func (m *mesh) publish(t *testing.T, cfg replica.Config, n, r int) ([]blocks.Block, blocks.Progress, error) {
	t.Helper()
	var bs []blocks.Block
	for i := range n {
		bs = append(bs, publishedBlock(i))
	}
	l, err := blocks.Grant(blockstest.Key(1), blocks.Lease{Root: bs[0].Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(48 * time.Hour), R: r})
	if err != nil {
		t.Fatal(err)
	}
	mem := new(blockstest.Mem)
	if err := mem.Put(t.Context(), bs...); err != nil {
		t.Fatal(err)
	}
	for _, b := range bs {
		if err := mem.Hold(t.Context(), l, b.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	pin := blocks.Pin{Root: l.Root, Blocks: n, Time: time.Now(), Lease: l.ID(), Pending: true}
	if err := mem.Pin(t.Context(), pin); err != nil {
		t.Fatal(err)
	}
	e := &end{m, l.Publisher, make(chan struct{}, 1)}
	s := replica.New(l.Publisher, mem, mem, e, e, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	defer func() { cancel(); <-done }() // it is gone, and does not answer who reads
	p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil)
	return bs, p, err
}

// reading is a peer that reads, and counts: what it asks, and its fresh lookups.
type reading struct {
	*mesh
	width    int
	pointers bool // it hears of who stands in
	asks     atomic.Int64
	lookups  atomic.Int64
}

func (r *reading) Closest(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, bool, error) {
	return r.nearest(h, min(n, r.width)), true, nil
}

func (r *reading) Afresh(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, error) {
	r.lookups.Add(1)
	return r.nearest(h, n), nil
}

func (r *reading) Fetch(ctx context.Context, p peer.ID, c cid.Cid) (blocks.Block, error) {
	r.asks.Add(1)
	b, err := r.mem[p].Get(ctx, c)
	if !blocks.IsNotFound(err) {
		return b, err
	}
	no := &wire.Missing{Key: c.Hash()}
	if to, ok := r.set[p].InPlace(c.Hash()); ok && r.pointers {
		no.Hint = append(no.Hint, peer.AddrInfo{ID: to})
	}
	for _, q := range r.nearest(c.Hash(), 5) { // as a router names them
		if keyspace.Closer(keyspace.OfHash(c.Hash()), keyspace.OfPeer(q), keyspace.OfPeer(p)) < 0 {
			no.Hint = append(no.Hint, peer.AddrInfo{ID: q})
		}
	}
	return blocks.Block{}, no
}

// figures are what reading each of bs once, by somebody who knows the width closest, costs.
func (m *mesh) figures(t *testing.T, bs []blocks.Block, width int, pointers bool) (good int, asks, lookups float64) {
	t.Helper()
	r := &reading{mesh: m, width: width, pointers: pointers}
	for i, b := range bs {
		f := fetch.New("reader", new(blockstest.Mem), r, r, fetch.Config{Width: width, Named: func(peer.AddrInfo) bool { return true }, Rand: rand.New(rand.NewPCG(uint64(i), 1))})
		if got, err := f.Get(t.Context(), b.Cid()); err == nil && slices.Equal(got.RawData(), b.RawData()) {
			good++
		}
	}
	return good, float64(r.asks.Load()) / float64(len(bs)), float64(r.lookups.Load()) / float64(len(bs))
}

// moved is how many blocks were sent to anybody so far.
func (m *mesh) moved() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.ids {
		n += m.stored[p] + m.fetched[p]
	}
	return n
}

// crowded is a network of which 40 % have no room: the eight closest to the first block that
// is published, and every fourth of the others.
func crowded(n int, cfg replica.Config) *mesh {
	ids := named(n)
	near := keyspace.Nearest(keyspace.OfHash(publishedBlock(0).Hash()), ids, n)
	m := meshWith(ids, cfg, func(p peer.ID, c *replica.Config) {
		if i := slices.Index(near, p); i < 8 || i%4 == 0 {
			c.Quota = 1
		}
	})
	m.flags, m.lag = true, 20*time.Millisecond
	return m
}

// below is how many of bs have fewer than r copies.
func (m *mesh) below(bs []blocks.Block, r int) (n int) {
	for _, b := range bs {
		if m.copies(b, "") < r {
			n++
		}
	}
	return n
}

// Two peers of five have no room. All blocks get their copies all the same, on the next
// closest; who reads finds each at the first try, by fewer questions and lookups because those
// without room name who stands in for them; and once all is in its place nothing moves. The
// control does not remember who had no room.
func TestFortyPercentWithoutRoom(t *testing.T) {
	const peers, r = 40, 5
	n := 1000
	if testing.Short() {
		n = 120
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := crowd(3)
		m := crowded(peers, cfg)
		m.run(t)
		bs, p, err := m.publish(t, cfg, n, r)
		time.Sleep(time.Minute)
		before := m.moved()
		time.Sleep(time.Minute)
		idle := m.moved() - before
		good, asks, _ := m.figures(t, bs, 2*r, true)
		_, plain, _ := m.figures(t, bs, 2*r, false)
		_, _, looks := m.figures(t, bs, 2, true)
		_, _, plainLooks := m.figures(t, bs, 2, false)
		t.Logf("put %v, %v; %d of %d blocks short; %d read at the first try; questions a read %.3f, without pointers %.3f; lookups a read by who knows the 2 closest %.3f, without pointers %.3f; %d copies moved in a minute after that",
			p.Copies, err, m.below(bs, r), n, good, asks, plain, looks, plainLooks, idle)
		switch {
		case m.below(bs, r) > 0 || good < n || idle > 0:
			t.Error("not all are where they can be, or something goes on moving")
		case asks >= plain || looks >= plainLooks:
			t.Error("pointers save nothing")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		cfg := crowd(3)
		cfg.NoHandoff = true
		m := crowded(peers, cfg)
		m.run(t)
		bs, p, err := m.publish(t, cfg, n, r)
		t.Logf("control: put %v, %v; %d of %d blocks short", p.Copies, err, m.below(bs, r), n)
		if m.below(bs, r) == 0 {
			t.Error("the control has all copies: this test cannot fail")
		}
	})
}
