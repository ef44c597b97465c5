package node_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Where tells who has a block, who lost it, and who is away; why names the worst block;
// repair does at once what the network would do in its time. Repair rounds are off: what
// comes back came by asking for it, and without asking nothing does.
func TestWhatIsShortIsExplainedAndRepaired(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cfg := t.Context(), nodetest.Config()
		cfg.Replica.Repair = false
		w := nodetest.New(t, 12, cfg)
		rc, err := w.Nodes[0].Put(ctx, bytes.NewReader(blockstest.Random(1, 3<<20)), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
		if err != nil {
			t.Fatal(err)
		}
		asked, path := w.Nodes[1], rc.Root.String()
		why, err := asked.Why(ctx, path)
		if err != nil || !why.Whole {
			t.Fatalf("before: %+v, %v", why, err)
		}
		h, err := asked.Health(ctx, path, true)
		if err != nil {
			t.Fatal(err)
		}
		leaf := h.Detail[2].CID
		var lost []int
		for _, i := range w.Holders(leaf) {
			if ls, _ := w.Mem[i].Leases(ctx, leaf.Hash()); i != 0 && len(ls) > 0 && len(lost) < 4 {
				if err := w.Mem[i].Delete(ctx, leaf.Hash()); err != nil {
					t.Fatal(err)
				}
				lost = append(lost, i)
			}
		}
		time.Sleep(2 * time.Minute) // the control: nothing comes back by itself
		why, err = asked.Why(ctx, path)
		if err != nil || why.Whole || why.Worst == nil || !why.Worst.CID.Equals(leaf) || why.Worst.Copies != 1 {
			t.Fatalf("%d copies of a leaf gone: %+v, %v", len(lost), why, err)
		}
		says := map[string]int{}
		for _, a := range why.Worst.Answers {
			if says[a.Says]++; a.Rank < 0 && a.Says != blocks.SaysProved && a.Says != blocks.SaysRead {
				t.Errorf("the publisher %s it", a.Says)
			}
		}
		if says[blocks.SaysLacks] < len(lost) || why.Worst.Repairs == "" {
			t.Errorf("answers %v, %s repairs", says, why.Worst.Repairs)
		}
		out, err := asked.Restore(ctx, path, func(blocks.Done) {})
		if err != nil || out.Short != 1 || out.Copies != 4 || out.Lacking != 0 {
			t.Errorf("restored %+v, %v", out, err)
		}
		if h, err := asked.Health(ctx, path, false); err != nil || !h.Good() || h.Min != 5 {
			t.Errorf("afterwards %+v, %v", h, err)
		}
	})
}

// A root that nobody has any more is explained all the same, and cannot be repaired.
func TestWhatIsGoneIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w := nodetest.New(t, 6, nodetest.Config())
		gone := blocks.New(cid.Raw, []byte("nobody has put this")).Cid()
		at, err := w.Nodes[2].Where(ctx, gone.String())
		if err != nil || at.Copies != 0 || at.Leased || len(at.Answers) != 6 {
			t.Errorf("where: %+v, %v", at, err)
		}
		self := 0
		for _, a := range at.Answers {
			if a.Says != blocks.SaysLacks {
				t.Errorf("%s %s it", a.Peer, a.Says)
			}
			if a.Self {
				self++
			}
		}
		if self != 1 {
			t.Errorf("%d of the answers are its own", self)
		}
		if _, err := w.Nodes[2].Restore(ctx, gone.String(), func(blocks.Done) {}); err == nil {
			t.Error("repaired what nobody has")
		}
		w.Nodes[0].Put(ctx, bytes.NewReader([]byte("here only")), blocks.PutOptions{NoPlace: true, Wait: blocks.WaitLocal}, nil) //nolint:errcheck // the next line tells
		only := blocks.New(cid.Raw, []byte("here only")).Cid()
		if _, err := w.Nodes[0].Restore(ctx, only.String(), func(blocks.Done) {}); !errors.Is(err, blocks.ErrNoLease) {
			t.Errorf("without a lease: %v", err)
		}
	})
}

// A holder that hangs is not one that lacks it.
func TestWhereTellsWhoIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cfg := t.Context(), nodetest.Config()
		cfg.Replica.Repair = false
		w := nodetest.New(t, 8, cfg)
		data := blockstest.Random(2, 1000)
		rc, err := w.Nodes[0].Put(ctx, bytes.NewReader(data), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var holders []int
		for _, i := range w.Holders(rc.Root) {
			if ls, _ := w.Mem[i].Leases(ctx, rc.Root.Hash()); i != 0 && len(ls) > 0 {
				holders = append(holders, i)
			}
		}
		cut, reader := holders[0], holders[1] // who holds it knows the lease, and need not ask the silent one for it first
		f, err := w.Nodes[reader].Get(ctx, rc.Root.String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, f)
		_ = f.Close()
		w.Cut(func(a, b int) bool { return a == cut || b == cut })
		at, err := w.Nodes[reader].Where(ctx, rc.Root.String())
		if err != nil {
			t.Fatal(err)
		}
		says := map[string]string{}
		for _, a := range at.Answers {
			says[a.Peer.String()] = a.Says
		}
		if s := says[w.Hosts[cut].ID().String()]; s != blocks.SaysSilent && s != blocks.SaysSuspect {
			t.Errorf("one that is cut off %q it", s)
		}
		if at.Copies != len(holders)-1 {
			t.Errorf("%d copies, want %d: %+v", at.Copies, len(holders)-1, at.Answers)
		}
	})
}

// What is in its CID has no block that somebody could lose, and is whole without anybody;
// a block that is asked for by itself has a clear answer.
func TestWhatIsInItsCIDNeedsNoCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 3, nodetest.Config())
		sum, err := mh.Sum([]byte("all of it"), mh.IDENTITY, -1)
		if err != nil {
			t.Fatal(err)
		}
		path := cid.NewCidV1(cid.Raw, sum).String()
		n := w.Nodes[0]
		if h, err := n.Health(ctx, path, false); err != nil || !h.Good() || h.Blocks != 0 || !strings.Contains(h.Sentence(), "in the CID itself") {
			t.Errorf("health %+v, %v", h, err)
		}
		if why, err := n.Why(ctx, path); err != nil || !why.Whole || why.Worst != nil {
			t.Errorf("why %+v, %v", why, err)
		}
		if out, err := n.Restore(ctx, path, func(blocks.Done) {}); err != nil || out.Copies != 0 || out.Lacking != 0 {
			t.Errorf("restored %+v, %v", out, err)
		}
		var bad *blocks.PathError
		if _, err := n.Where(ctx, path); !errors.As(err, &bad) || !strings.Contains(err.Error(), "in the CID itself") {
			t.Errorf("where: %v", err)
		}
	})
}
