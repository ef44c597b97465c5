package dht

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
	mh "github.com/multiformats/go-multihash"
)

// A group is that of the lowest public address that is no relay's, IPv4 first.
func TestTheGroupOfAddresses(t *testing.T) {
	const relay = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit"
	for _, c := range []struct {
		addrs []string
		want  string // an address of the group; empty is none
	}{
		{nil, ""},
		{[]string{"/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/dns4/example.org/tcp/1"}, ""},
		{[]string{"/ip4/9.9.9.9/tcp/1" + relay}, ""},
		{[]string{"/ip4/9.9.9.9/tcp/1" + relay, "/ip4/9.8.7.6/udp/1/quic-v1"}, "9.8.7.1"},
		{[]string{"/ip6/2a00:1450:4001:81::5/tcp/1", "/ip4/9.8.7.6/tcp/1", "/ip4/9.8.6.6/tcp/1"}, "9.8.6.1"},
		{[]string{"/ip6/2a00:1450:4001:81::5/tcp/1"}, "2a00:1450:4001::"},
	} {
		var addrs []ma.Multiaddr
		for _, a := range c.addrs {
			addrs = append(addrs, ma.StringCast(a))
		}
		want := keyspace.Group{}
		if c.want != "" {
			want = keyspace.GroupOf(netip.MustParseAddr(c.want))
		}
		slices.Reverse(addrs)
		if got := groupOf(addrs); got != want {
			t.Errorf("%v are of %v, want %v", c.addrs, got, want)
		}
	}
}

// A member is of the group in which it is seen, whatever addresses are claimed for it, and
// still is while it is away; in a private network nobody is of any.
func TestAMemberIsOfTheGroupItIsSeenIn(t *testing.T) {
	for name, private := range map[string]bool{"public": false, "control, private": true} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { seenIn(t, private) }) })
	}
}

func seenIn(t *testing.T, private bool) {
	w := newPublicRing(t, 3, private, func(int) bool { return true })
	r, all, liar := w.routers[0], w.hosts, w.hosts[2]
	want := keyspace.GroupOf(netip.MustParseAddr("1.0.0.7"))
	if private {
		want = keyspace.Group{}
	}
	claims := []ma.Multiaddr{ma.StringCast("/ip4/9.9.9.9/tcp/1"), ma.StringCast("/ip4/1.0.0.1/tcp/1"), ma.StringCast("/ip4/8.8.8.8/tcp/1")}
	w.nets[0].Peerstore().AddAddrs(liar, claims, peerstore.PermanentAddrTTL)
	for _, p := range all {
		if g := r.Group(p); g != want {
			t.Errorf("%s is of %v, want %v", p, g, want)
		}
	}
	h, err := mh.Sum([]byte("a block"), mh.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	if near := r.Nearby(h, 2); !slices.Equal(near, keyspace.Nearest(keyspace.OfHash(h), all, 2)) {
		t.Errorf("nearby are %v", near)
	}
	w.stops[2]()
	time.Sleep(10 * time.Second)
	alive, seat := r.Reach(t.Context(), all)
	if !slices.Equal(alive, []bool{true, true, false}) || !slices.Equal(seat, []bool{true, true, true}) {
		t.Errorf("alive %v, seats %v", alive, seat)
	}
	if g := r.Group(liar); w.nets[0].Connectedness(liar) == network.Connected || g != want {
		t.Errorf("while it is away it is of %v, want %v", g, want)
	}
}
