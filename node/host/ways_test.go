package host_test

import (
	"context"
	"crypto/rand"
	mrand "math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node/host"
	"github.com/libp2p/go-libp2p/core/crypto"
	lhost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"
)

// One port is called in every way that a browser or a peer has.
func TestOnePortIsCalledInEveryWay(t *testing.T) {
	const ip = "/ip4/127.0.0.1"
	want := map[int]string{ma.P_TCP: "", ma.P_WS: "", ma.P_QUIC_V1: "", ma.P_WEBTRANSPORT: "", ma.P_WEBRTC_DIRECT: ""}
	var h lhost.Host
	first := 20_000 + mrand.IntN(10_000) // below those that systems give out
	for port := first; h == nil; port++ {
		var err error
		p := strconv.Itoa(port)
		h, err = at(t, ip+"/tcp/"+p, ip+"/tcp/"+p+"/ws", ip+"/udp/"+p+"/quic-v1",
			ip+"/udp/"+p+"/quic-v1/webtransport", ip+"/udp/"+p+"/webrtc-direct")
		if err != nil && port == first+100 {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, a := range h.Addrs() {
		caller, err := at(t)
		if err != nil {
			t.Fatal(err)
		}
		if err := caller.Connect(ctx, peer.AddrInfo{ID: h.ID(), Addrs: []ma.Multiaddr{a}}); err != nil {
			t.Errorf("%s: %v", a, err)
			continue
		}
		if r := <-ping.Ping(ctx, caller, h.ID()); r.Error != nil {
			t.Errorf("%s: %v", a, r.Error)
		}
		for code := range want {
			if _, err := caller.Network().ConnsToPeer(h.ID())[0].RemoteMultiaddr().ValueForProtocol(code); err == nil {
				want[code] = a.String()
			}
		}
	}
	for code, a := range want {
		if a == "" {
			t.Errorf("nobody came by %s", ma.ProtocolWithCode(code).Name+" "+strconv.Itoa(code))
		}
	}
}

// at is a host that listens on addrs, which somebody may have, or only calls.
func at(t *testing.T, addrs ...string) (lhost.Host, error) {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Config{Key: key, Listen: addrs, Private: true})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = h.Close() })
	return h, nil
}
