package dht

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	mh "github.com/multiformats/go-multihash"
)

// A peer of a public network that can be reached is a member in its own eyes too, and so
// takes and keeps what is its own; one that cannot be reached is none in anybody's.
func TestAPublicPeerThatIsReachedIsAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPublicRing(t, 3, false, func(i int) bool { return i < 2 })
		h, err := mh.Sum([]byte("a block"), mh.SHA2_256, -1)
		if err != nil {
			t.Fatal(err)
		}
		want := []peer.ID{w.hosts[0], w.hosts[1]}
		for i, r := range w.routers {
			ids, _, err := r.Closest(t.Context(), h, 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(ids) != 2 || !slices.Contains(want, ids[0]) || !slices.Contains(want, ids[1]) {
				t.Errorf("peer %d names %v, want %v", i, ids, want)
			}
			if self := slices.Contains(r.Zone(), w.hosts[i]); self != (i < 2) {
				t.Errorf("peer %d counts itself: %v", i, self)
			}
		}
	})
}

// publicRing is routers that are told whether they can be reached, on hosts of public addresses.
type publicRing struct {
	hosts   []peer.ID
	nets    []network.Network
	routers []*Router
	stops   []func()
}

func newPublicRing(t *testing.T, n int, private bool, reached func(i int) bool) *publicRing {
	t.Helper()
	hosts, boot := simulated(t, n)
	w := new(publicRing)
	for i, h := range hosts {
		r, err := New(h, Config{Network: "public", Bootstrap: boot, Private: private})
		if err != nil {
			t.Fatal(err)
		}
		if reached(i) {
			e, err := h.EventBus().Emitter(new(event.EvtLocalReachabilityChanged), eventbus.Stateful)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			if err := e.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityPublic}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		done, ended := make(chan struct{}), false
		go func() { defer close(done); _ = r.Run(ctx) }()
		stop := func() {
			if !ended {
				ended = true
				cancel()
				<-done
				_, _ = r.Close(), h.Close()
			}
		}
		t.Cleanup(stop)
		w.hosts, w.nets = append(w.hosts, h.ID()), append(w.nets, h.Network())
		w.routers, w.stops = append(w.routers, r), append(w.stops, stop)
	}
	time.Sleep(30 * time.Second) // virtual
	return w
}
