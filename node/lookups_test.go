package node_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
)

// A put of 1,024 blocks asks the network who is where a few times, not once a block: whole
// peers, from the file to the last holder's answer. The put of the same again asks less often
// still. CAIRN_LONG=1 does it among 100 and 300 as well, with the times of a network of friends: a
// testnet's peers ping each other every second, which 300 take hours for.
func TestAPutCostsFewLookups(t *testing.T) {
	type kind struct {
		peers, most int
		profile     string
	}
	cases := []kind{{10, 2, node.ProfileTestnet}}
	if os.Getenv("CAIRN_LONG") != "" { // minutes
		cases = append(cases, kind{100, 10, node.ProfilePrivate}, kind{300, 40, node.ProfilePrivate})
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.peers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const chunk, leaves = 64, 1023
				cfg := nodetest.Config()
				cfg.Network.Profile = c.profile
				cfg.Replica.Repair = false // whose rounds look around for themselves
				w := nodetest.New(t, c.peers, cfg)
				time.Sleep(time.Minute)
				n := w.Nodes[c.peers/2]
				data := blockstest.Random(1, chunk*leaves)
				for _, what := range []string{"put", "put again"} {
					before := value(t, n, "cairn_lookups_total", "")
					rc, err := n.Put(t.Context(), bytes.NewReader(data), blocks.PutOptions{Wait: blocks.WaitFull, Layout: blocks.Layout{Chunk: chunk}}, nil)
					if err != nil {
						t.Fatal(err)
					}
					lookups := int(value(t, n, "cairn_lookups_total", "") - before)
					t.Logf("FIGURE %d peers, %s: %d lookups for %d blocks", c.peers, what, lookups, rc.Blocks)
					if rc.Blocks != leaves+1 || lookups > c.most {
						t.Errorf("%d peers, %s: %d lookups for %d blocks, want %d at most for %d", c.peers, what, lookups, rc.Blocks, c.most, leaves+1)
					}
				}
			})
		})
	}
}
