package dht

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"
)

// oracle is a network that gives true answers of its k closest peers.
type oracle struct {
	set keyspace.Set
	ids map[keyspace.Key]peer.ID
	k   int

	mu      sync.Mutex
	view    view // guarded by mu
	lookups int  // guarded by mu
}

func newOracle(rnd *rand.Rand, n, k int) *oracle {
	o := &oracle{ids: map[keyspace.Key]peer.ID{}, k: k, view: view{members: map[peer.ID]*member{}}}
	for range n {
		p := peer.ID(binary.BigEndian.AppendUint64(nil, rnd.Uint64()))
		o.ids[keyspace.OfPeer(p)] = p
		o.set = append(o.set, keyspace.OfPeer(p))
	}
	o.set = keyspace.SetOf(o.set)
	return o
}

func (o *oracle) ask(_ context.Context, t target) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lookups++
	var answer []keyspace.Key
	now := time.Now()
	for _, i := range o.set.Nearest(t.key, o.k) {
		answer = append(answer, o.set[i])
		o.view.found(o.ids[o.set[i]], now)
	}
	for _, p := range keyspace.Shown(t.key, answer, o.k) {
		o.view.coverage.Cover(p, now, now.Add(time.Hour))
	}
	p, _, _ := o.view.coverage.Covered(t.key, now)
	return p.Bits, nil
}

func (o *oracle) done(n int) func(keyspace.Key) bool {
	return func(k keyspace.Key) bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.view.exact(k, n, time.Now())
	}
}

func blocks(rnd *rand.Rand, n int) []target {
	ts := make([]target, n)
	for i := range ts {
		h, _ := mh.Encode(binary.BigEndian.AppendUint64(make([]byte, 24), rnd.Uint64()), mh.SHA2_256)
		ts[i] = target{keyspace.OfHash(h), h}
	}
	return ts
}

// Invariants 3 and 4: after a sweep every key is exact, what is said to be exact is,
// and it took no more lookups than keys, nor than the network needs.
func TestSweepLeavesEveryKeyExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const k = 20
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		o := newOracle(rnd, rapid.IntRange(1, 1000).Draw(t, "N"), k)
		ts, n := blocks(rnd, rapid.IntRange(0, 300).Draw(t, "keys")), rapid.IntRange(1, 11).Draw(t, "n")
		if err := sweep(t.Context(), ts, o.done(n), o.ask); err != nil {
			t.Fatal(err)
		}
		for _, x := range ts {
			if !o.done(n)(x.key) {
				t.Fatal("a key is not exact after the sweep")
			}
			near := o.view.nearest(x.key, n, func(*member) bool { return true })
			for i, j := range o.set.Nearest(x.key, n) {
				if near[i].key != o.set[j] {
					t.Fatalf("place %d of %d is said to be exact and is not", i, n)
				}
			}
		}
		if most := min(len(ts), 2*len(o.set)/(k/2)+1); o.lookups > most {
			t.Fatalf("%d lookups for %d keys among %d peers, want %d at most", o.lookups, len(ts), len(o.set), most)
		}
	})
}

// What a sweep of 1,024 blocks costs. The control is a lookup for each block.
func TestSweepCostsFewLookups(t *testing.T) {
	for _, c := range []struct{ peers, most int }{{10, 2}, {19, 2}, {100, 10}, {300, 40}, {1000, 100}} {
		worst := 0
		for seed := range uint64(20) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			o := newOracle(rnd, c.peers, 20)
			if err := sweep(t.Context(), blocks(rnd, 1024), o.done(11), o.ask); err != nil {
				t.Fatal(err)
			}
			worst = max(worst, o.lookups)
		}
		t.Logf("%d peers: %d lookups at most", c.peers, worst)
		if worst > c.most {
			t.Errorf("%d peers: %d lookups, want %d at most", c.peers, worst, c.most)
		}
	}
}
