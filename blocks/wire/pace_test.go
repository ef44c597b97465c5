package wire

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// A peer that asks for proofs without end has 8 MiB a second read for it, after what one
// largest question takes; another one is answered at once.
func TestProofsAreRationedForEachPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, b := new(blockstest.Mem), blocks.New(cid.Raw, blockstest.Random(1, blocks.MaxSize))
		if err := mem.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		c, p := pair(t, func(h host.Host) { t.Cleanup(Serve(h, mem, mem, keeper{mem}, Config{})) })
		ask := func(n int) time.Duration {
			hs := make([]mh.Multihash, n)
			for i := range hs {
				hs[i] = b.Hash()
			}
			t0 := time.Now()
			if _, err := c.Prove(t.Context(), p, make([]byte, nonceSize), hs); err != nil {
				t.Fatal(err)
			}
			return time.Since(t0)
		}
		if d := ask(Proofs); d > time.Second {
			t.Errorf("the first question took %v", d)
		}
		if d := ask(8); d < 1500*time.Millisecond || d > 3*time.Second { // 16 MiB
			t.Errorf("16 MiB more took %v, want 2 s", d)
		}
		a := newPace()
		for range 100 {
			a.book("greedy", 2<<20, time.Now())
		}
		if err := a.take(context.Background(), "another", 2<<20); err != nil {
			t.Error(err)
		}
	})
}

// Whom the rate is counted for is bounded by who asked lately.
func TestThePacedAreForgotten(t *testing.T) {
	a, now := newPace(), time.Now()
	for i := range 3 * maxPaced {
		a.book(peer.ID(strconv.Itoa(i)), 1, now.Add(time.Duration(i)*time.Second))
	}
	if len(a.free) > maxPaced {
		t.Errorf("%d remembered", len(a.free))
	}
}
