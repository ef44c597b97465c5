package dht_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/dht"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	mh "github.com/multiformats/go-multihash"
)

const member protocol.ID = "/test/blocks/1"

const grace = time.Minute

// ring is n routers that found each other through the first.
type ring struct {
	hosts   []host.Host
	routers []*dht.Router
	stop    []func()
	cut     atomic.Pointer[func(a, b int) bool] // packets from a to b are swallowed
}

func newRing(t *testing.T, n int, strangers ...int) *ring {
	t.Helper()
	return ringOf(t, n, dht.Config{}, strangers...)
}

// ringOf sets of cfg what all tests have in common.
func ringOf(t *testing.T, n int, cfg dht.Config, strangers ...int) *ring {
	t.Helper()
	w := new(ring)
	number := map[string]int{}
	for i := range n {
		number[simnet.IntToPublicIPv4(i).String()] = i
	}
	ip := func(a net.Addr) string { return a.(*net.UDPAddr).IP.String() }
	latency := func(p *simnet.Packet) time.Duration {
		if cut := w.cut.Load(); cut != nil && (*cut)(number[ip(p.From)], number[ip(p.To)]) {
			return 365 * 24 * time.Hour // never
		}
		return 5 * time.Millisecond
	}
	link := simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps}
	sim, meta, err := simlibp2p.SimpleLibp2pNetwork([]simlibp2p.NodeLinkSettingsAndCount{{
		LinkSettings: simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}, Count: n,
	}}, latency, simlibp2p.NetworkSettings{})
	if err != nil {
		t.Fatal(err)
	}
	sim.Start()
	w.hosts = meta.Nodes
	boot := []peer.AddrInfo{{ID: meta.Nodes[0].ID(), Addrs: meta.Nodes[0].Addrs()}}
	for i, h := range meta.Nodes {
		if !slices.Contains(strangers, i) {
			h.SetStreamHandler(member, func(s network.Stream) { _ = s.Reset() })
		}
		cfg.Network, cfg.Bootstrap, cfg.Member, cfg.Private = "test", boot, member, true
		cfg.Coverage, cfg.Grace = 10*time.Second, grace
		r, err := dht.New(h, cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = r.Run(ctx) }()
		w.routers = append(w.routers, r)
		ended := false
		w.stop = append(w.stop, func() {
			if !ended {
				ended = true
				cancel()
				<-done
				_, _ = r.Close(), h.Close()
			}
		})
	}
	t.Cleanup(func() {
		for _, stop := range w.stop {
			stop()
		}
		sim.Close()
	})
	time.Sleep(30 * time.Second) // virtual
	return w
}

// oracle is what somebody who knows everyone would answer.
func (w *ring) oracle(h mh.Multihash, n int, out ...int) []peer.ID {
	var all []peer.ID
	for i, h := range w.hosts {
		if !slices.Contains(out, i) {
			all = append(all, h.ID())
		}
	}
	return keyspace.Nearest(keyspace.OfHash(h), all, n)
}

func key(t *testing.T, i int) mh.Multihash {
	t.Helper()
	h, err := mh.Sum([]byte{byte(i), byte(i >> 8)}, mh.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Closest gives what an oracle would, in a network larger than one answer, without
// those that do not store for others, and without those that have died.
func TestClosestAreTheLiveMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, stranger = 40, 7
		w := newRing(t, n, stranger)
		asker := w.routers[3]
		if s := asker.State(); s != dht.Ready {
			t.Fatalf("state %s", s)
		}
		for i := range 50 {
			got, _, err := asker.Closest(t.Context(), key(t, i), 5)
			if want := w.oracle(key(t, i), 5, stranger); err != nil || !slices.Equal(got, want) {
				t.Fatalf("key %d: %v, %v; want %v", i, got, err, want)
			}
		}
		dead := []int{stranger, 10, 11, 12, 13}
		for _, i := range dead[1:] {
			w.stop[i]()
		}
		time.Sleep(5 * time.Second) // the connections are seen to end, and were tried again
		for i := range 50 {
			got, _, err := asker.Closest(t.Context(), key(t, i), 5)
			if want := w.oracle(key(t, i), 5, dead...); err != nil || !slices.Equal(got, want) {
				t.Fatalf("after deaths, key %d: %v, %v; want %v", i, got, err, want)
			}
		}
	})
}

// One lookup serves many keys of a small network, and is repeated when it is old.
func TestExactIsOnlySaidOfWhatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRing(t, 8)
		for i := range 100 {
			ids, exact, err := w.routers[2].Closest(t.Context(), key(t, i), 5)
			if err != nil || !exact || !slices.Equal(ids, w.oracle(key(t, i), 5)) {
				t.Fatalf("key %d: %v, exact %v, %v", i, ids, exact, err)
			}
		}
	})
}

// Members that take every question and answer none do not hold up who asks: what is
// known must do for a while.
func TestHungMembersHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRing(t, 12)
		for _, i := range []int{4, 5} {
			const kad = "/cairn/test/kad/1.0.0"
			w.hosts[i].SetStreamHandler(kad, func(network.Stream) {})
			for _, c := range w.hosts[i].Network().Conns() {
				for _, s := range c.GetStreams() {
					if s.Protocol() == kad {
						_ = s.Reset() // the next question comes to the handler that is silent
					}
				}
			}
		}
		time.Sleep(20 * time.Second) // what was covered is so no more
		t0 := time.Now()
		for i := range 50 {
			ids, _, err := w.routers[0].Closest(t.Context(), key(t, i), 5)
			if err != nil || !slices.Equal(ids, w.oracle(key(t, i), 5)) {
				t.Fatalf("key %d: %v, %v", i, ids, err)
			}
		}
		if d := time.Since(t0); d > 5*time.Second {
			t.Errorf("50 answers took %v", d)
		}
	})
}

// A lost member keeps its seat until the grace is over, and gets it back.
func TestSeatIsKeptForTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRing(t, 8)
		h, asker := key(t, 1), w.routers[0]
		before, alive, err := asker.Seats(t.Context(), h, 8)
		if err != nil || len(before) != 8 || slices.Contains(alive, false) {
			t.Fatalf("seats %v %v, %v", before, alive, err)
		}
		w.stop[5]()
		lost := slices.Index(before, w.hosts[5].ID())
		time.Sleep(10 * time.Second)
		ids, alive, err := asker.Seats(t.Context(), h, 8)
		if err != nil || !slices.Equal(ids, before) || alive[lost] || slices.Index(alive, false) != lost {
			t.Errorf("in the grace: %v %v, %v; want %d lost", ids, alive, err, lost)
		}
		if live, _, _ := asker.Closest(t.Context(), h, 8); slices.Contains(live, before[lost]) {
			t.Error("Closest gives a dead member")
		}
		for drained := false; !drained; { // what changed until now
			select {
			case <-asker.Changed():
			default:
				drained = true
			}
		}
		select {
		case <-asker.Changed():
		case <-time.After(grace):
			t.Error("nobody is told that the grace is over")
		}
		ids, _, err = asker.Seats(t.Context(), h, 8)
		if err != nil || slices.Contains(ids, before[lost]) || len(ids) != 7 {
			t.Errorf("after the grace: %v, %v", ids, err)
		}
	})
}

// A peer that knows no other says so, and warms up when the first one comes.
func TestAloneUntilSomebodyComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRing(t, 1)
		r := w.routers[0]
		if s := r.State(); s != dht.Alone {
			t.Fatalf("state %s", s)
		}
		if _, _, err := r.Closest(t.Context(), key(t, 1), 3); !errors.Is(err, dht.ErrAlone) {
			t.Fatalf("err = %v", err)
		}
		select {
		case <-r.Ready():
			t.Fatal("ready alone")
		default:
		}
	})
}
