package node_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node/nodetest"
)

// Whole peers over simulated links: one whose disk silently lost some of its blocks, which its ledger
// still names, is found out by its neighbours; nobody else is accused, and before the
// loss nobody was. Without comparisons, the control, nothing is noticed.
func TestALossThatNobodySaysIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	for _, repair := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			cfg := nodetest.Config()
			cfg.Replica.Repair = repair
			w := nodetest.New(t, 8, cfg)
			if _, err := w.Nodes[0].Put(t.Context(), bytes.NewReader(blockstest.Random(3, 8<<20)), blocks.PutOptions{Wait: blocks.WaitFull}, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			failed := func() (n float64) {
				for _, i := range w.Alive() {
					n += value(t, w.Nodes[i], "cairn_audits_failed_total", "")
				}
				return n
			}
			asked := 0.0
			for _, i := range w.Alive() {
				asked += value(t, w.Nodes[i], "cairn_audits_total", "")
			}
			if n := failed(); n != 0 || asked > 0 != repair {
				t.Errorf("repair %t: %v asked, %v failed before the loss", repair, asked, n)
			}
			loser := 1
			for i := range w.Mem {
				if i > 0 && w.Blocks(i) > w.Blocks(loser) {
					loser = i
				}
			}
			lost := 0
			for h, err := range w.Mem[loser].All(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if lost++; lost%3 == 0 {
					if err := w.Mem[loser].Delete(t.Context(), h); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(2 * time.Minute)
			if n := failed(); n > 0 != repair {
				t.Errorf("repair %t: %v proofs failed after a loss", repair, n)
			}
		})
	}
}
