package node_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
)

// handedOff is the gauge cairn_handoff of n, by kind.
func handedOff(t *testing.T, n *node.Node) map[string]float64 {
	t.Helper()
	all, err := n.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range all {
		if f.GetName() == "cairn_handoff" {
			for _, m := range f.GetMetric() {
				out[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// Over whole peers, three of nine of which have no room: what is put gets its copies on the
// others, those without room know who keeps in their place what they refused, and everybody
// reads it when its publisher is gone.
func TestPeersWithoutRoomKnowWhoStandsIn(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := nodetest.Config()
		cfg.Replica.R = 3
		w := nodetest.Growing(t, 6, 3, cfg)
		cfg.Store.Quota = 1
		for range 3 {
			w.JoinAs(cfg)
		}
		time.Sleep(30 * time.Second)
		many := blocks.Layout{Chunk: 256 << 10} // so some peer without room is near one of them
		rc := put(t, w.Nodes[1], 1, blocks.PutOptions{Wait: blocks.WaitFull, Layout: many})
		time.Sleep(time.Minute)
		h, err := w.Nodes[2].Health(t.Context(), rc.Root.String(), false)
		if err != nil || !h.Good() || h.Min < 3 {
			t.Errorf("%+v, %v", h, err)
		}
		pointers := 0.0
		for _, n := range w.Nodes[6:] {
			pointers += handedOff(t, n)["pointers"]
		}
		if pointers == 0 {
			t.Error("nobody without room knows who stands in")
		}
		w.Kill(1)
		time.Sleep(time.Minute)
		for i, n := range w.Nodes {
			if i == 1 {
				continue
			}
			f, err := n.Get(t.Context(), rc.Root.String())
			if err != nil {
				t.Errorf("peer %d: %v", i, err)
				continue
			}
			_ = f.Close()
		}
		t.Logf("%v pointers", pointers)
	})
}
