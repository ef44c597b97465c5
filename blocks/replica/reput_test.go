package replica_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// What is put again, under a newer lease, is brought to nobody a second time.
func TestWhatIsPutAgainCostsNoBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, r = 50, 3
		cfg := replica.Config{NoRepair: true, NoAudit: true, Fanout: blocks.MaxReplicas, PeerRate: -1}
		m := newMesh(6, cfg)
		m.run(t)
		var bs []blocks.Block
		var hs []mh.Multihash
		for i := range n {
			bs = append(bs, blocks.New(cid.Raw, blockstest.Random(uint64(i), 100)))
			hs = append(hs, bs[i].Hash())
		}
		put := func(seq uint64) (stored int) {
			t.Helper()
			l, err := blocks.Grant(blockstest.Key(1), blocks.Lease{Root: bs[0].Cid(), Seq: seq, Issued: time.Now(), Expires: time.Now().Add(time.Hour), Bytes: n * 100, R: r})
			if err != nil {
				t.Fatal(err)
			}
			pin, mem := blocks.Pin{Root: l.Root, Lease: l.ID(), Blocks: n, Pending: true}, m.mem["a"]
			if err := mem.Put(t.Context(), bs...); err != nil {
				t.Fatal(err)
			}
			if err := mem.Hold(t.Context(), l, hs...); err != nil {
				t.Fatal(err)
			}
			p, err := m.set["a"].Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil)
			if err != nil || p.Safe != n {
				t.Fatalf("put %d: %+v, %v", seq, p, err)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, k := range m.stored {
				stored += k
			}
			return stored
		}
		first := put(1)
		if again := put(2); first < n || again != first {
			t.Errorf("%d blocks were brought for the first put, %d more for the second", first, again-first)
		}
	})
}
