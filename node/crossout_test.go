package node_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/go-cid"
)

// A tree that changes again and again leaves no entry of its states of before beside the
// blocks that it still has. The control is a file whose lease was taken back and that
// nothing else stands for: it keeps its entry until a collection takes it.
func TestATreeThatChangesLeavesNoEntriesBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 5, nodetest.Config())
		n := w.Nodes[0]
		ask, stop := files(t, n, t.TempDir())
		defer stop()
		stays := string(blockstest.Random(1, 1<<20))
		ask("write?create=true", stays, "/stays")
		gone := put(t, n, 2, blocks.PutOptions{Wait: blocks.WaitFull})
		if _, err := n.Withdraw(t.Context(), gone.Root.String()); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			ask("write?create=true&truncate=true", string(rune('a'+i)), "/f")
			time.Sleep(15 * time.Second)
		}
		time.Sleep(90 * time.Second)
		entries := func(c cid.Cid) (all []int) {
			for i, m := range w.Mem {
				ls, err := m.Leases(t.Context(), c.Hash())
				if err != nil {
					t.Fatal(err)
				}
				if len(ls) > 0 {
					all = append(all, len(ls))
				}
				if has, err := m.Has(t.Context(), c.Hash()); err != nil || has != (len(ls) > 0) && i != 0 {
					t.Errorf("peer %d: has it: %t, %d entries, %v", i, has, len(ls), err)
				}
			}
			return all
		}
		leaf := blocks.New(cid.Raw, []byte(stays)).Cid()
		if got := entries(leaf); len(got) < 4 || slices.Max(got) > 2 { // the last but one may be left
			t.Errorf("entries of what stays, at each peer: %v", got)
		}
		if got := entries(gone.Root); len(got) < 4 {
			t.Errorf("entries of what was taken back: %v", got)
		}
		if h, err := w.Nodes[3].Health(t.Context(), filesRoot(t, ask), false); err != nil || h.AtRisk > 0 || h.Min < 3 {
			t.Errorf("health %+v, %v", h, err)
		}
	})
}
