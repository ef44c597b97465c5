package wire

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"
)

// diskKeeper keeps what comes in a store on a disk; hasty says so before it does.
type diskKeeper struct {
	*disk.Store
	hasty bool
	owed  []func() error
}

func (k *diskKeeper) Offer(_ context.Context, _ peer.ID, _ blocks.Lease, items []Item) ([]Status, error) {
	return make([]Status, len(items)), nil
}

func (k *diskKeeper) Keep(_ context.Context, _ peer.ID, l blocks.Lease, bs ...blocks.Block) error {
	hs := make([]mh.Multihash, len(bs))
	for i, b := range bs {
		hs[i] = b.Hash()
	}
	keep := func() error {
		ctx := context.Background()
		return errors.Join(k.Put(ctx, bs...), k.Hold(ctx, l, hs...))
	}
	if k.hasty {
		k.owed = append(k.owed, keep)
		return nil
	}
	return keep()
}

// crashed brings bs to a holder with a disk, whose power goes off the moment the acks-th answer
// is heard, and gives how many of the blocks that were answered for are not there, whole and
// under their lease, when it is on again.
func crashed(t *rapid.T, bs []blocks.Block, acks, keeps int, seed uint64, hasty bool) (lost int) {
	mem := vfs.NewCrashableMem()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(mem.MkdirAll("store", 0o700))
	d, err := mem.OpenDir("")
	must(err)
	must(errors.Join(d.Sync(), d.Close()))
	st, err := disk.Open("store", disk.Config{FS: mem, SegmentSize: 64 << 10})
	must(err)
	k := &diskKeeper{Store: st, hasty: hasty}
	sv := newService(st, st, k, Config{})
	own, items := new(blockstest.Mem), []Item(nil)
	must(own.Put(context.Background(), bs...))
	for _, b := range bs {
		items = append(items, Item{Hash: b.Hash(), Size: len(b.RawData())})
	}
	l, err := blocks.Grant(blockstest.Key(1), blocks.Lease{Root: bs[0].Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(time.Hour), R: 3})
	must(err)
	near, far := pipe()
	done := make(chan struct{})
	go func() { // ends with the stream; waited for below
		defer close(done)
		_ = (&exchange{service: sv, from: "publisher", l: far}).guarded(context.Background())
	}()
	var promised []int
	var after *vfs.MemFS
	must(newOffering(near, items, func(i int, a Ack) {
		if after != nil || a.Status != Stored {
			return
		}
		if promised = append(promised, i); len(promised) == acks {
			after = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keeps, RNG: rand.New(rand.NewPCG(seed, seed))})
		}
	}).run(context.Background(), l, Put, own))
	near.reset()
	<-done
	for _, keep := range k.owed {
		must(keep())
	}
	must(st.Close())
	st, err = disk.Open("store", disk.Config{FS: after, SegmentSize: 64 << 10})
	must(err)
	for _, i := range promised {
		got, err := st.Get(context.Background(), bs[i].Cid())
		ls, e := st.Leases(context.Background(), bs[i].Hash())
		if err != nil || e != nil || len(ls) != 1 || !bytes.Equal(got.RawData(), bs[i].RawData()) {
			lost++
		}
	}
	must(st.Close())
	return lost
}

// Invariant 6: what a holder has answered for with STORED is there after a power cut at that very
// moment, readable and under its lease, whatever of the rest the disk has kept. The control
// answers first and keeps then.
func TestWhatIsAnsweredForOutlivesAPowerCut(t *testing.T) {
	control := 0
	rapid.Check(t, func(t *rapid.T) {
		var bs []blocks.Block
		for i, n := range rapid.SliceOfN(rapid.IntRange(1, 20<<10), 1, 12).Draw(t, "sizes") {
			bs = append(bs, blocks.New(cid.Raw, blockstest.Random(uint64(i), n)))
		}
		acks := rapid.IntRange(1, len(bs)).Draw(t, "acks")
		keeps, seed := rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "kept"), rapid.Uint64().Draw(t, "seed")
		if lost := crashed(t, bs, acks, keeps, seed, false); lost > 0 {
			t.Errorf("%d of %d blocks that were answered for are lost", lost, acks)
		}
		control += crashed(t, bs, acks, keeps, seed, true)
	})
	if control == 0 {
		t.Error("the control lost nothing: this proves nothing")
	}
}
