package replica_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/ipfs/go-cid"
	"pgregory.net/rapid"
)

// Invariant 20: a peer that does not know its part of the network yet brings nothing to
// anybody, fetches nothing and lets nothing go, whatever is missing and whatever is too much.
// Once it does, every block somebody has is held by its r closest, and by nobody else: that
// is the control.
func TestNothingMovesBeforeTheNetworkIsKnown(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		peers := rapid.IntRange(2, 7).Draw(rt, "peers")
		r, n := rapid.IntRange(1, peers).Draw(rt, "r"), rapid.IntRange(1, 15).Draw(rt, "blocks")
		has := rapid.SliceOfN(rapid.Bool(), n*peers, n*peers).Draw(rt, "has")
		synctest.Test(t, func(t *testing.T) {
			cfg := replica.Config{Every: time.Minute, SyncEvery: time.Minute, Full: time.Minute, Surplus: time.Minute, Brake: -1, PeerRate: -1, Rate: -1}
			m := newMesh(peers, cfg)
			m.ready = make(chan struct{})
			var bs []blocks.Block
			for i := range n {
				bs = append(bs, blocks.New(cid.Raw, blockstest.Random(uint64(i), 100)))
			}
			l, err := blocks.Grant(blockstest.Key(1), blocks.Lease{Root: bs[0].Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(48 * time.Hour), R: r})
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range bs {
				for k, p := range m.ids {
					if has[i*peers+k] {
						if err := m.mem[p].Put(t.Context(), b); err != nil {
							t.Fatal(err)
						}
						if err := m.mem[p].Hold(t.Context(), l, b.Hash()); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			holds := func(i, k int) bool {
				ls, err := m.mem[m.ids[k]].Leases(t.Context(), bs[i].Hash())
				return err == nil && len(ls) > 0
			}
			m.run(t)
			time.Sleep(20 * time.Minute)
			for i := range has {
				if holds(i/peers, i%peers) != has[i] {
					rt.Errorf("block %d at %d: held %t, before %t", i/peers, i%peers, !has[i], has[i])
				}
			}
			close(m.ready)
			time.Sleep(20 * time.Minute)
			for i, b := range bs {
				somebody := slices.Contains(has[i*peers:(i+1)*peers], true)
				for k, p := range m.ids {
					want := somebody && slices.Contains(keyspace.Nearest(keyspace.OfHash(b.Hash()), m.ids, r), p)
					if holds(i, k) != want {
						rt.Errorf("later, block %d at %d: held %t, want %t", i, k, !want, want)
					}
				}
			}
		})
	})
}
