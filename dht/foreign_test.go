package dht

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/go-cid"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	ma "github.com/multiformats/go-multiaddr"
	mh "github.com/multiformats/go-multihash"
)

// A peer that speaks our DHT and nothing else of ours, as js-libp2p does, sits in the tables,
// keeps and leaves records, and is never among the closest. The control is a member there.
func TestAForeignPeerOfTheDHTIsNeverChosen(t *testing.T) {
	for name, foreign := range map[string]bool{"foreign": true, "control": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { neverChosen(t, foreign) })
		})
	}
}

func neverChosen(t *testing.T, foreign bool) {
	const n = 6
	hosts, boot := simulated(t, n)
	var rs []*Router
	for i, h := range hosts {
		if i == n-1 && foreign {
			break
		}
		r, err := New(h, Config{Network: "foreign", Bootstrap: boot, Private: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = r.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done; _, _ = r.Close(), h.Close() })
		rs = append(rs, r)
	}
	last := hosts[n-1]
	h, err := mh.Sum([]byte("a root"), mh.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	if foreign {
		plain, err := kad.New(last, kad.ProtocolPrefix(rs[0].cfg.prefix()), kad.Mode(kad.ModeServer),
			kad.BootstrapPeers(boot...), kad.AddressFilter(nil), kad.DisableValues())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = plain.Close(), last.Close() })
		if err := last.Connect(t.Context(), boot[0]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := plain.Provide(t.Context(), cid.NewCidV1(cid.Raw, h), true); err != nil {
			t.Fatal(err)
		}
	} else {
		time.Sleep(time.Minute)
		if err := rs[n-1].Provide(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	us := rs[0]
	if us.kad.RoutingTable().Find(last.ID()) == "" {
		t.Error("it is in no table")
	}
	if ids, err := us.Providers(t.Context(), h, 3); err != nil || !slices.Contains(ids, last.ID()) {
		t.Errorf("its record: %v, %v", ids, err)
	}
	chosen := 0
	for i := range 50 {
		h, err := mh.Sum([]byte{byte(i)}, mh.SHA2_256, -1)
		if err != nil {
			t.Fatal(err)
		}
		near, _, err := us.Closest(t.Context(), h, n)
		if err != nil {
			t.Fatal(err)
		}
		again, err := us.Afresh(t.Context(), h, n)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(near, again...) {
			if p == last.ID() {
				chosen++
			}
		}
	}
	if (chosen == 0) != foreign || us.IsMember(last.ID()) == foreign {
		t.Errorf("chosen %d times, a member: %v", chosen, us.IsMember(last.ID()))
	}
}

// What is told of a member has room for eight addresses: those that peers call come first.
func TestAddressesForBrowsersComeLast(t *testing.T) {
	const cert = "/certhash/uEiAqLCar4Mwgdh96S9brZje3bMz7_Bm8s31M3OC83ji10Q"
	h := hint{id: "x"}
	for _, ip := range []string{"/ip4/10.0.0.1", "/ip4/10.0.0.2", "/ip4/10.0.0.3"} {
		for _, way := range []string{"/udp/1/webrtc-direct" + cert, "/tcp/1/ws", "/udp/1/quic-v1/webtransport" + cert, "/tcp/1", "/udp/1/quic-v1"} {
			h.addrs = append(h.addrs, ma.StringCast(ip+way))
		}
	}
	for i, a := range (Config{Private: true}).admit(h.addrs) {
		if want := i / 6; min(want, 1) != forBrowsers(a) {
			t.Errorf("%d is %s", i, a)
		}
	}
}
