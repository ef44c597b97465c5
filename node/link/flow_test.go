package link_test

import (
	"context"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node/link"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

func bare(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableIdentifyAddressDiscovery())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func TestFlowIsCheckedByItsReceiver(t *testing.T) {
	a, b := bare(t), bare(t)
	if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
	if _, err := link.Send(t.Context(), a, b.ID(), 1); err == nil {
		t.Error("a peer that is in no testnet took a flow")
	}
	stop := link.Serve(b, nil)
	defer stop()
	for _, n := range []int64{1, 1<<20 - 1, 1 << 20, 5<<20 + 3} {
		if took, err := link.Send(t.Context(), a, b.ID(), n); err != nil || took <= 0 {
			t.Errorf("%d bytes: %s, %v", n, took, err)
		}
	}
	for _, n := range []int64{0, -1, link.MaxFlow + 1} {
		if _, err := link.Send(t.Context(), a, b.ID(), n); err == nil {
			t.Errorf("%d bytes were sent", n)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := link.Send(ctx, a, b.ID(), link.MaxFlow); err == nil {
		t.Error("64 GiB in 50 ms")
	}
}
