package node_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// Whole peers of a public network keep what others put, once they know that they can be
// reached. The control is never told so, and its put finds nobody.
func TestPublicPeersKeepForOthers(t *testing.T) {
	for name, reached := range map[string]bool{"reached": true, "control": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := nodetest.Config()
				cfg.Network.Profile = node.ProfilePublic
				w := nodetest.New(t, 6, cfg)
				for _, h := range w.Hosts {
					if !reached {
						break
					}
					e, err := h.EventBus().Emitter(new(event.EvtLocalReachabilityChanged), eventbus.Stateful)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = e.Close() })
					if err := e.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityPublic}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Minute)
				rc, err := w.Nodes[0].Put(t.Context(), bytes.NewReader(blockstest.Random(1, 100_000)), blocks.PutOptions{Layout: blocks.Layout{Chunk: 16 << 10}}, nil)
				held := len(w.Holders(rc.Root)) - 1 // the one that put it
				t.Logf("%d others have the root; %v", held, err)
				if !reached {
					if held > 0 || err == nil {
						t.Error("control: somebody keeps for others whom nobody reaches")
					}
					return
				}
				time.Sleep(5 * time.Minute)
				if held = len(w.Holders(rc.Root)) - 1; err != nil || held != 5 {
					t.Errorf("%d others have the root, want 5; %v", held, err)
				}
			})
		})
	}
}
