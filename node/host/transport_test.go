package host_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node/host"
	"github.com/cairn-network/cairn/node/link"
	"github.com/libp2p/go-libp2p/core/crypto"
	lhost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

func open(t *testing.T, line *link.Line) lhost.Host {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Private: true, Line: line})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// roundTrip is the quickest of a few.
func roundTrip(t *testing.T, from, to lhost.Host) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	least := time.Hour
	answers := ping.Ping(ctx, from, to.ID())
	for range 3 {
		r := <-answers
		if r.Error != nil {
			t.Fatal(r.Error)
		}
		least = min(least, r.RTT)
	}
	return least
}

// Both ends of a connection pass the line of whoever has one, whoever dialled, and
// connections that are open notice a change.
func TestLineIsPassedByWhoDialsAndWhoIsDialled(t *testing.T) {
	line := link.New(nil)
	slow, a, b := open(t, line), open(t, nil), open(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, pair := range [][2]lhost.Host{{slow, a}, {b, slow}, {a, b}} {
		if err := pair[0].Connect(ctx, peer.AddrInfo{ID: pair[1].ID(), Addrs: pair[1].Addrs()}); err != nil {
			t.Fatal(err)
		}
	}
	const latency = 300 * time.Millisecond
	for _, shape := range []link.Shape{{}, {Latency: latency}, {}} {
		if err := line.Set(shape); err != nil {
			t.Fatal(err)
		}
		for name, other := range map[string]lhost.Host{"dialled": a, "dialler": b} {
			took := roundTrip(t, other, slow)
			if took < shape.Latency || shape.Latency == 0 && took >= latency {
				t.Errorf("with %+v the %s's round trip took %s", shape, name, took)
			}
		}
		if took := roundTrip(t, a, b); took >= latency {
			t.Errorf("with %+v two others' round trip took %s", shape, took)
		}
	}
	in, out := line.Traffic()
	if in < 500 || out < 500 {
		t.Errorf("counted %d bytes in and %d out", in, out)
	}
}
