package dht_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/dht"
	"github.com/ipfs/go-cid"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	mh "github.com/multiformats/go-multihash"
)

// publicNet is n hosts that act as the public network, and extra hosts that are in none.
func publicNet(t *testing.T, n, extra int) (boot []peer.AddrInfo, dhts []*kad.IpfsDHT, free []host.Host) {
	t.Helper()
	link := simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps}
	sim, meta, err := simlibp2p.SimpleLibp2pNetwork([]simlibp2p.NodeLinkSettingsAndCount{{
		LinkSettings: simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}, Count: n + extra,
	}}, simnet.StaticLatency(5*time.Millisecond), simlibp2p.NetworkSettings{})
	if err != nil {
		t.Fatal(err)
	}
	sim.Start()
	t.Cleanup(sim.Close)
	for i, h := range meta.Nodes {
		if i >= n {
			t.Cleanup(func() { _ = h.Close() })
			continue
		}
		d, err := kad.New(h, kad.Mode(kad.ModeServer), kad.AddressFilter(nil))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = d.Close(), h.Close() })
		dhts = append(dhts, d)
		if i > 0 {
			if err := h.Connect(t.Context(), boot[0]); err != nil {
				t.Fatal(err)
			}
		}
		boot = append(boot, peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	}
	return boot[:1], dhts, meta.Nodes[n:]
}

func digest(t *testing.T, text string) mh.Multihash {
	t.Helper()
	h, err := mh.Sum([]byte(text), mh.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestAClientOfThePublicDHTLeavesAndFindsRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boot, dhts, free := publicNet(t, 6, 1)
		time.Sleep(time.Minute)
		p, err := dht.NewPublic(free[0], dht.PublicConfig{Bootstrap: boot, Private: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		mine, theirs := digest(t, "mine"), digest(t, "theirs")
		if _, err := p.Providers(ctx, theirs, 3); !errors.Is(err, dht.ErrAlone) || !errors.Is(p.Provide(ctx, mine), dht.ErrAlone) {
			t.Errorf("before it runs: %v", err)
		}
		time.Sleep(time.Minute)
		if got := len(free[0].Network().Peers()); got > 0 {
			t.Errorf("connected to %d before it runs", got)
		}
		go func() { defer close(done); _ = p.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done; _ = p.Close() })
		<-p.Ready()
		if err := p.Provide(ctx, mine); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // a record is sent and not answered
		found := false
		for info := range dhts[5].FindProvidersAsync(ctx, cid.NewCidV1(cid.Raw, mine), 3) {
			found = found || info.ID == free[0].ID()
		}
		if !found {
			t.Error("our record is not found")
		}
		if err := dhts[3].Provide(ctx, cid.NewCidV1(cid.Raw, theirs), true); err != nil {
			t.Fatal(err)
		}
		if infos, err := p.Providers(ctx, theirs, 3); err != nil || len(infos) != 1 || infos[0].ID != dhts[3].PeerID() || len(infos[0].Addrs) == 0 {
			t.Errorf("their record: %v, %v", infos, err)
		}
		for _, d := range dhts { // a client is in no table
			if d.RoutingTable().Find(free[0].ID()) != "" {
				t.Error("it is in a table, as if it answered")
			}
		}
	})
}
