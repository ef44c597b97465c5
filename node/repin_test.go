package node_test

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
)

// What is pinned with a lease and then put, imported or pinned once more without one keeps
// its lease, which goes on being renewed, and its journal. A put that does ask for copies
// is the control: it has a new lease.
func TestWhatIsWantedHereOnlyTakesNoLeaseAway(t *testing.T) {
	data := blockstest.Random(1, 1000)
	here := blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true}
	for name, tt := range map[string]struct {
		again func(t *testing.T, n *node.Node, root string) error
		seq   uint64
		name  string
	}{
		"put": {func(t *testing.T, n *node.Node, _ string) error {
			_, err := n.Put(t.Context(), bytes.NewReader(data), here, nil)
			return err
		}, 1, "first"},
		"import": {func(t *testing.T, n *node.Node, root string) error {
			b, err := n.GetBlock(t.Context(), root)
			if err != nil {
				return err
			}
			o := here
			o.Name = "second"
			_, err = n.PutBlock(t.Context(), b, blocks.ImportOptions{PutOptions: o}, nil)
			return err
		}, 1, "second"},
		"pin": {func(t *testing.T, n *node.Node, root string) error {
			_, err := n.Pin(t.Context(), root, "", nil)
			return err
		}, 1, "first"},
		"put without a name": {func(t *testing.T, n *node.Node, _ string) error {
			_, err := n.Put(t.Context(), bytes.NewReader(data), blocks.PutOptions{Wait: blocks.WaitLocal}, nil)
			return err
		}, 2, "first"},
		"control": {func(t *testing.T, n *node.Node, _ string) error {
			_, err := n.Put(t.Context(), bytes.NewReader(data), blocks.PutOptions{Wait: blocks.WaitLocal, Name: "third"}, nil)
			return err
		}, 2, "third"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := nodetest.New(t, 1, nodetest.Config()) // alone: it stays in the journal
				rc, err := w.Nodes[0].Put(t.Context(), bytes.NewReader(data), blocks.PutOptions{Wait: blocks.WaitLocal, Name: "first"}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := tt.again(t, w.Nodes[0], rc.Root.String()); err != nil {
					t.Fatal(err)
				}
				var got []blocks.LeaseInfo
				for l, err := range w.Nodes[0].Leases(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, l)
				}
				if len(got) != 1 || !got[0].Pinned || !got[0].Renews || got[0].Seq != tt.seq || got[0].Name != tt.name {
					t.Errorf("leases %+v, want one that is renewed, number %d, of %q", got, tt.seq, tt.name)
				}
				if jobs, err := w.Nodes[0].Jobs(t.Context()); err != nil || len(jobs) != 1 {
					t.Errorf("%d puts are not done, %v: want the one", len(jobs), err)
				}
			})
		})
	}
}
