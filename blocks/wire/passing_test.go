package wire

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// passer passes on by saying so, after a while; hang is for ever.
type passer struct {
	keeper
	hang           bool
	other, crowded peer.ID

	mu     sync.Mutex
	served []int // guarded by mu: of each item
}

func (p *passer) Pass(ctx context.Context, _ peer.ID, _ blocks.Lease, items []Item, tell func(int, Ack)) {
	if p.hang {
		<-ctx.Done()
		return
	}
	time.Sleep(time.Second)
	for i, it := range items {
		p.mu.Lock()
		p.served = append(p.served, it.Served)
		p.mu.Unlock()
		tell(i, Ack{Status: Stored, Peer: p.other})
		tell(i, Ack{Status: Full, Peer: p.crowded})
	}
}

// What has the flag is passed on after its own answer, new or here already, and nothing
// else is; the others' answers come by name, and then the stream ends.
func TestFanoutItemsArePassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := new(blockstest.Mem)
		other, crowded := lease(t, blocks.New(cid.Raw, nil).Cid()).Publisher, lease(t, blocks.New(cid.Raw, nil).Cid()).Publisher
		k := &passer{keeper: keeper{mem}, other: other, crowded: crowded}
		c, p := pair(t, func(h host.Host) { t.Cleanup(Serve(h, mem, mem, k, Config{})) })
		own, l, items := offered(t, 4)
		items[0].Fanout, items[0].Served = true, 3
		items[1].Fanout = true
		if err := mem.Put(t.Context(), own[1]); err != nil { // it is there already
			t.Fatal(err)
		}
		type answer struct {
			i  int
			of peer.ID
			st Status
		}
		var got []answer
		t0 := time.Now()
		err := c.Offer(t.Context(), p, l, Put, items, lentAll(t, own), func(i int, a Ack) { got = append(got, answer{i, a.Peer, a.Status}) })
		if err != nil || time.Since(t0) > 4*time.Second {
			t.Fatalf("%v after %v", err, time.Since(t0))
		}
		for _, want := range []answer{{0, "", Stored}, {1, "", Have}, {2, "", Stored}, {3, "", Stored},
			{0, other, Stored}, {1, other, Stored}, {0, crowded, Full}, {1, crowded, Full}} {
			if !slices.Contains(got, want) {
				t.Errorf("%v was not told", want)
			}
		}
		if slices.Sort(k.served); len(got) != 8 || !slices.Equal(k.served, []int{0, 3}) {
			t.Errorf("told %v; passed on with %v", got, k.served)
		}
	})
}

// A keeper that hangs in passing on holds up no answer of its own, and has no room that
// others need: more offers than one peer may have under way at a time all get their answers.
func TestPassingOnHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := new(blockstest.Mem)
		c, p := pair(t, func(h host.Host) {
			t.Cleanup(Serve(h, mem, mem, &passer{keeper: keeper{mem}, hang: true}, Config{}))
		})
		ctx, cancel := context.WithCancel(t.Context())
		var offers sync.WaitGroup
		defer offers.Wait()
		defer cancel()
		answers := make(chan Status, 3*perPeer)
		for i := range 3 * perPeer {
			b := blocks.New(cid.Raw, blockstest.Random(uint64(100+i), 1000))
			l, items := lease(t, b.Cid()), []Item{{Hash: b.Hash(), Size: 1000, Fanout: true}}
			offers.Go(func() {
				_ = c.Offer(ctx, p, l, Put, items, lent{b}, func(_ int, a Ack) { answers <- a.Status })
			})
		}
		late := time.After(5 * time.Second)
		for i := range 3 * perPeer {
			select {
			case st := <-answers:
				if st != Stored {
					t.Fatalf("answer %d: %s", i, st)
				}
			case <-late:
				t.Fatalf("%d answers of %d", i, 3*perPeer)
			}
		}
	})
}

func offered(t *testing.T, n int) (bs []blocks.Block, l blocks.Lease, items []Item) {
	t.Helper()
	for i := range n {
		b := blocks.New(cid.Raw, blockstest.Random(uint64(i), 10_000))
		bs, items = append(bs, b), append(items, Item{Hash: b.Hash(), Size: 10_000})
	}
	return bs, lease(t, bs[0].Cid()), items
}

func lentAll(t *testing.T, bs []blocks.Block) Lender {
	t.Helper()
	m := new(blockstest.Mem)
	if err := m.Put(t.Context(), bs...); err != nil {
		t.Fatal(err)
	}
	return m
}
