package node_test

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/host"
	"github.com/ipfs/go-cid"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	lhost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// onLoopback is a host of loopback that belongs to no network.
func onLoopback(t *testing.T) lhost.Host {
	t.Helper()
	h, err := host.New(host.Config{Key: freshKey(t), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Agent: "test", Private: true, PerIP: 1 << 16, ConnsLow: 32, ConnsHigh: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// Three hosts act as the public network; one of them has a file by bitswap, and tells the DHT.
// A peer of ours, alone in its network, reads it, and its own root is found there. With
// routing.public off it has no goroutine for that and calls nobody, and the file is not found.
func TestThePublicDHTIsAskedAndToldIfItsOwnerWants(t *testing.T) {
	for name, on := range map[string]bool{"on": true, "control: off": false} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			var dhts []*kad.IpfsDHT
			var hosts []lhost.Host
			for i := range 3 {
				h := onLoopback(t)
				d, err := kad.New(h, kad.Mode(kad.ModeServer), kad.AddressFilter(nil))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = d.Close() })
				dhts, hosts = append(dhts, d), append(hosts, h)
				if i > 0 {
					if err := h.Connect(ctx, peer.AddrInfo{ID: hosts[0].ID(), Addrs: hosts[0].Addrs()}); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, d := range dhts { // a connection is noted once identify is through
				for d.RoutingTable().Size() == 0 {
					if ctx.Err() != nil {
						t.Fatal("the three do not know each other")
					}
					time.Sleep(5 * time.Millisecond)
				}
			}
			theirs := new(blockstest.Mem)
			swap := fetch.NewBitswap(hosts[2], theirs, fetch.BitswapConfig{})
			t.Cleanup(func() { _ = swap.Close() })
			want := blockstest.Random(7, 3<<20)
			var root cid.Cid
			for b, err := range dag.Split(bytes.NewReader(want), dag.Layout{}) {
				if err == nil {
					err = theirs.Put(ctx, b)
				}
				if err != nil {
					t.Fatal(err)
				}
				root = b.Cid()
			}
			if err := dhts[2].Provide(ctx, root, true); err != nil {
				t.Fatal(err)
			}

			ours, mem := onLoopback(t), new(blockstest.Mem)
			cfg := node.DefaultConfig()
			cfg.Network.Profile, cfg.Network.Name = node.ProfileTestnet, "alone"
			cfg.Routing.Public = on
			cfg.Routing.Bootstrap = []string{hosts[0].Addrs()[0].String() + "/p2p/" + hosts[0].ID().String()}
			n, err := node.New(ctx, node.Parts{Key: ours.Peerstore().PrivKey(ours.ID()), Host: ours, Store: mem, Ledger: mem, Records: mem}, cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			run, stop := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- n.Run(run) }()
			t.Cleanup(func() {
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
				if err := n.Close(); err != nil {
					t.Error(err)
				}
			})
			rc, err := n.Put(ctx, strings.NewReader("ours"), blocks.PutOptions{NoPlace: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !on {
				time.Sleep(3 * time.Second)
				buf := make([]byte, 4<<20)
				buf = buf[:runtime.Stack(buf, true)]
				if bytes.Contains(buf, []byte("node.(*public)")) || bytes.Contains(buf, []byte("dht.(*Public)")) {
					t.Error("a goroutine runs for the public DHT")
				}
				if got := ours.Network().Peers(); len(got) > 0 {
					t.Errorf("connected to %v", got)
				}
				short, end := context.WithTimeout(ctx, 3*time.Second)
				defer end()
				if f, err := n.Get(short, root.String()); err == nil {
					t.Error("the file of strangers is found")
					_ = f.Close()
				}
				return
			}
			for found := false; !found; time.Sleep(50 * time.Millisecond) {
				for info := range dhts[1].FindProvidersAsync(ctx, rc.Root, 3) {
					found = found || info.ID == ours.ID()
				}
				if ctx.Err() != nil {
					t.Fatal("our root is not on record")
				}
			}
			began := time.Now()
			f, err := n.Get(ctx, root.String())
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := io.ReadAll(f)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			t.Logf("FIGURE %d bytes of a stranger who was found in the public DHT, in %v", len(got), time.Since(began).Round(time.Millisecond))
		})
	}
}
