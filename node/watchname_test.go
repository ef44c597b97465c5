package node_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
)

// Five peers on loopback, with real sockets and the real clock: the last one watches a name that
// the first one publishes.
func TestAWatchHearsOfAChangeWithinTwoSecondsOnRealSockets(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var nodes []*node.Node
	var running sync.WaitGroup
	cfg := node.DefaultConfig()
	cfg.Network.Profile, cfg.Network.Name = node.ProfileTestnet, "watch"
	for i := range 5 {
		h, mem := onLoopback(t), new(blockstest.Mem)
		n, err := node.New(ctx, node.Parts{Key: h.Peerstore().PrivKey(h.ID()), Host: h, Store: mem, Ledger: mem, Records: mem}, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		running.Go(func() { _ = n.Run(ctx) })
		if nodes = append(nodes, n); i == 0 {
			cfg.Network.Bootstrap = []string{h.Addrs()[0].String() + "/p2p/" + h.ID().String()}
		}
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	for _, n := range nodes {
		for end := time.Now().Add(20 * time.Second); n.State() != "ready"; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("a peer is %s", n.State())
			}
		}
	}
	info, err := nodes[0].Keys().Generate("site")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan blocks.Resolved, 8)
	running.Go(func() {
		for r, err := range nodes[4].WatchName(ctx, info.Name) {
			if err == nil {
				heard <- r
			}
		}
	})
	for i, path := range []string{onePath, twoPath, onePath, twoPath, onePath} {
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		if _, err := nodes[0].PublishName(ctx, "site", path, blocks.NameOptions{}); err != nil {
			t.Fatal(err)
		}
		done := time.Now()
		select {
		case r := <-heard:
			took := time.Since(done)
			t.Logf("FIGURE change %d is heard %v after its publish, which took %v", i, took.Round(time.Millisecond), done.Sub(began).Round(time.Millisecond))
			if r.Path != path || took > 2*time.Second {
				t.Errorf("heard %s after %v, want %s", r.Path, took, path)
			}
		case <-time.After(12 * time.Second):
			t.Fatalf("change %d is not heard", i)
		}
	}
}
