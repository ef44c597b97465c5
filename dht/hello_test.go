package dht

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	ma "github.com/multiformats/go-multiaddr"
)

// simulated gives n hosts that see each other, in virtual time, and the first one to meet.
func simulated(t *testing.T, n int) ([]host.Host, []peer.AddrInfo) {
	t.Helper()
	link := simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps}
	sim, meta, err := simlibp2p.SimpleLibp2pNetwork([]simlibp2p.NodeLinkSettingsAndCount{{
		LinkSettings: simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}, Count: n,
	}}, simnet.StaticLatency(5*time.Millisecond), simlibp2p.NetworkSettings{})
	if err != nil {
		t.Fatal(err)
	}
	sim.Start()
	t.Cleanup(sim.Close)
	return meta.Nodes, []peer.AddrInfo{{ID: meta.Nodes[0].ID(), Addrs: meta.Nodes[0].Addrs()}}
}

// routers are n of them that found each other, from the inside.
func routers(t *testing.T, n int) []*Router {
	t.Helper()
	hosts, boot := simulated(t, n)
	var rs []*Router
	for _, h := range hosts {
		r, err := New(h, Config{Network: "inner", Bootstrap: boot, Private: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = r.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done; _, _ = r.Close(), h.Close() })
		rs = append(rs, r)
	}
	time.Sleep(30 * time.Second)
	return rs
}

// impersonate lets p say that it is of network net.
func impersonate(p *Router, net uint64) {
	p.host.SetStreamHandler(ViewProtocol, func(s network.Stream) {
		_ = desk{hello: func(Hello) Hello { return Hello{Net: net} }}.converse(s, func() {})
		_ = s.Close()
	})
}

// A peer that says it is of another network is no member, whatever it speaks. The
// control says that it is of ours.
func TestAnotherNetworksPeerIsNoMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := routers(t, 3)
		us, them := rs[0], rs[2].self
		if !us.IsMember(them) {
			t.Fatal("it is no member to begin with")
		}
		for _, c := range []struct {
			net    uint64
			member bool
		}{{us.cfg.netID() + 1, false}, {us.cfg.netID(), true}} {
			impersonate(rs[2], c.net)
			if err := us.greet(t.Context(), them); err != nil {
				t.Fatal(err)
			}
			if got := us.IsMember(them); got != c.member {
				t.Errorf("of network %x: member %v", c.net, got)
			}
		}
	})
}

// Who answers what is near a key leaves out nobody of the part that it vouches for,
// and vouches for nothing that it has not seen.
func TestNearVouchesOnlyForWhatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := routers(t, 28)
		claims := 0
		for i := range 200 {
			key := keyspace.OfHash([]byte{byte(i)})
			for _, r := range []*Router{rs[7], rs[23]} {
				if i%10 == 0 {
					if _, err := r.lookup(t.Context(), key, string([]byte{byte(i)})); err != nil {
						t.Fatal(err)
					}
				}
				a := r.listNear(nearReq{key, 1 + i%maxNear})
				if len(a.hints) > 1+i%maxNear {
					t.Fatalf("%d members, %d asked for", len(a.hints), 1+i%maxNear)
				}
				if a.fresh == 0 {
					continue
				}
				claims++
				named := map[peer.ID]bool{}
				for _, h := range a.hints {
					named[h.id] = true
				}
				for _, other := range rs {
					if keyspace.CommonPrefix(key, keyspace.OfPeer(other.self)) >= a.bits && !named[other.self] {
						t.Fatalf("key %d: %d bits vouched for, but a member there is left out", i, a.bits)
					}
				}
			}
		}
		if claims == 0 {
			t.Error("nothing was vouched for: this test cannot fail")
		}
	})
}

// What others name is a hint: it counts once this peer has met it, and an address
// that members of this network cannot have is not taken.
func TestANamedPeerIsNoMemberUntilItIsMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := routers(t, 2)[0]
		stranger := someone(9)
		relayed := ma.StringCast("/ip4/1.2.3.4/tcp/1/p2p/" + r.self.String() + "/p2p-circuit")
		r.hear([]hint{{stranger, []ma.Multiaddr{relayed, ma.StringCast("/ip4/1.2.3.9/udp/9/quic-v1")}}, {id: r.self}})
		if r.IsMember(stranger) {
			t.Error("a named peer is a member")
		}
		if got := r.host.Peerstore().Addrs(stranger); len(got) != 1 {
			t.Errorf("addresses %v", got)
		}
		ids, _, err := r.Closest(t.Context(), []byte("some key"), 5)
		if err != nil || len(ids) != 2 {
			t.Errorf("closest %v, %v", ids, err)
		}
		r.mu.Lock()
		left := r.view.members[stranger]
		r.mu.Unlock()
		if left != nil {
			t.Error("a named peer that was not reached is still known")
		}
		public := Config{}
		if got := public.admit([]ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1"), ma.StringCast("/ip4/8.8.8.8/tcp/1")}); len(got) != 1 {
			t.Errorf("a public network admits %v", got)
		}
	})
}
