package wire

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	mh "github.com/multiformats/go-multihash"
)

// parter is a keeper that may be about to let go of one block.
type parter struct {
	keeper
	of mh.Multihash
}

func (p parter) Parts(h mh.Multihash) bool { return string(h) == string(p.of) }

// Who may be about to let go of a block proves that it has it, and does not say that it holds
// it; who merely asks, without a proof, hears that it does. Of another block it holds, all is as ever.
func TestWhatMayBeLetGoIsNotProvedToBeHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := new(blockstest.Mem)
		stays, goes := blocks.New(cid.Raw, blockstest.Random(1, 100)), blocks.New(cid.Raw, blockstest.Random(2, 100))
		l := blockstest.Lease(1, 1, stays.Cid(), time.Now())
		if err := mem.Put(t.Context(), stays, goes); err != nil {
			t.Fatal(err)
		}
		hs := []mh.Multihash{stays.Hash(), goes.Hash()}
		if err := mem.Hold(t.Context(), l, hs...); err != nil {
			t.Fatal(err)
		}
		c, p := pair(t, func(h host.Host) {
			t.Cleanup(Serve(h, mem, mem, parter{keeper{mem}, goes.Hash()}, Config{}))
		})
		states, err := c.States(t.Context(), p, hs)
		if err != nil || states[0] != Held || states[1] != Held {
			t.Errorf("%v, %v", states, err)
		}
		proofs, err := c.Prove(t.Context(), p, make([]byte, nonceSize), hs)
		if err != nil || proofs[0].State != Held || proofs[1].State != Here {
			t.Fatalf("%+v, %v", proofs, err)
		}
		if string(proofs[1].MAC) != string(Proof(make([]byte, nonceSize), goes.RawData())) {
			t.Error("it does not prove what it has")
		}
	})
}
