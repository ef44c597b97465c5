package node_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/node/nodetest"
)

// A network that was parted for longer than the grace, so that each half has forgotten the
// other, becomes one again within a minute of being mended, though nobody is told to dial.
func TestANetworkThatWasPartedBecomesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 8, nodetest.Config())
		members := func(i int) (n int) {
			for _, p := range w.Nodes[i].Peers() {
				if p.Member && !p.Suspect {
					n++
				}
			}
			return n
		}
		w.Cut(func(a, b int) bool { return (a < 4) != (b < 4) })
		time.Sleep(2 * time.Minute)
		for i := range w.Nodes {
			if n := members(i); n != 3 {
				t.Errorf("parted, peer %d knows %d others, want 3: it cannot have forgotten them", i, n)
			}
		}
		w.Heal()
		time.Sleep(time.Minute)
		for i := range w.Nodes {
			if n := members(i); n != 7 {
				t.Errorf("mended, peer %d knows %d others, want 7", i, n)
			}
		}
	})
}
