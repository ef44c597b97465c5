// Package nodetest is a network of whole peers in one process and in virtual
// time: real libp2p hosts, DHT and gossip over simulated links, inside a
// testing/synctest bubble. An hour passes in seconds and no socket is opened.
package nodetest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
)

// Net is a network under test. Peers are known by their number.
type Net struct {
	t     testing.TB
	Nodes []*node.Node
	Mem   []*blockstest.Mem
	Hosts []host.Host
	stop  []func() // ends peer i
	dead  []bool   // peer i has ended
	cfg   node.Config
	cut   atomic.Pointer[func(a, b int) bool]
}

// Config is a testnet's, with the defaults of a peer's owner, but without bitswap: its
// server looks up ten times a second, which makes virtual hours long.
func Config() node.Config {
	cfg := node.DefaultConfig()
	cfg.Network.Bitswap = false
	cfg.Network.Profile, cfg.Network.Name = node.ProfileTestnet, "sim"
	return cfg
}

// New starts n peers that know each other. Call it inside synctest.Test.
func New(t testing.TB, n int, cfg node.Config) *Net {
	t.Helper()
	return Growing(t, n, 0, cfg)
}

// Growing is New with room for more peers, which come one by one with Join.
func Growing(t testing.TB, n, more int, cfg node.Config) *Net {
	t.Helper()
	w := &Net{t: t, cfg: cfg}
	link := simnet.LinkSettings{BitsPerSecond: 50 * simlibp2p.OneMbps}
	number := map[string]int{}
	latency := func(p *simnet.Packet) time.Duration {
		if cut := w.cut.Load(); cut != nil && (*cut)(number[ip(p.From)], number[ip(p.To)]) {
			return 365 * 24 * time.Hour // never
		}
		return 20 * time.Millisecond
	}
	sim, meta, err := simlibp2p.SimpleLibp2pNetwork([]simlibp2p.NodeLinkSettingsAndCount{{
		LinkSettings: simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}, Count: n + more,
	}}, latency, simlibp2p.NetworkSettings{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n + more {
		number[simnet.IntToPublicIPv4(i).String()] = i
	}
	sim.Start()
	t.Cleanup(sim.Close)
	w.Hosts = meta.Nodes
	for range n {
		w.Join()
	}
	t.Cleanup(func() {
		for i := range w.Nodes {
			w.Kill(i)
		}
		for _, h := range w.Hosts[len(w.Nodes):] {
			_ = h.Close()
		}
	})
	time.Sleep(time.Minute) // virtual: routing tables fill
	return w
}

// Join starts one more peer, which knows the first that lives.
func (w *Net) Join() { w.JoinAs(w.cfg) }

// JoinAs is Join for a peer that is set up in another way than the others.
func (w *Net) JoinAs(cfg node.Config) {
	w.t.Helper()
	alive := w.Alive()
	h := w.Hosts[len(w.Nodes)]
	w.start(h, cfg)
	if len(alive) == 0 {
		return
	}
	first := w.Hosts[alive[0]]
	if err := h.Connect(w.t.Context(), peer.AddrInfo{ID: first.ID(), Addrs: first.Addrs()}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *Net) start(h host.Host, cfg node.Config) {
	ctx, cancel := context.WithCancel(context.Background())
	mem := new(blockstest.Mem)
	n, err := node.New(ctx, node.Parts{Key: h.Peerstore().PrivKey(h.ID()), Host: h, Store: mem, Ledger: mem, Records: mem}, cfg, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = n.Run(ctx) }()
	w.Nodes, w.Mem, w.dead = append(w.Nodes, n), append(w.Mem, mem), append(w.dead, false)
	w.stop = append(w.stop, sync.OnceFunc(func() {
		cancel()
		<-done
		_ = n.Close()
		_ = h.Close()
	}))
}

// Kill ends peer i for good: its blocks go with it.
func (w *Net) Kill(i int) {
	w.stop[i]()
	w.dead[i] = true
}

// Holders gives the living peers that have the block c.
func (w *Net) Holders(c cid.Cid) (is []int) {
	for i, m := range w.Mem {
		if ok, _ := m.Has(context.Background(), c.Hash()); ok && !w.dead[i] {
			is = append(is, i)
		}
	}
	return is
}

// Cut parts the network wherever apart says so; Heal mends it.
func (w *Net) Cut(apart func(a, b int) bool) { w.cut.Store(&apart) }

// Heal mends what Cut has parted.
func (w *Net) Heal() { w.cut.Store(nil) }

func ip(a net.Addr) string { return a.(*net.UDPAddr).IP.String() }

// Alive gives the numbers of the peers that live.
func (w *Net) Alive() (is []int) {
	for i, dead := range w.dead {
		if !dead {
			is = append(is, i)
		}
	}
	return is
}

// Blocks is how many blocks peer i has.
func (w *Net) Blocks(i int) (n int) {
	for range w.Mem[i].All(context.Background()) {
		n++
	}
	return n
}
