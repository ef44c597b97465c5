package pubsub_test

import (
	"bytes"
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/pubsub"
	gossip "github.com/libp2p/go-libp2p-pubsub"
	rpc "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
)

// hosts makes n peers on simulated links. Call it inside synctest.Test.
func hosts(t *testing.T, n int) []host.Host {
	t.Helper()
	link := simnet.LinkSettings{BitsPerSecond: 50 * simlibp2p.OneMbps}
	sim, meta, err := simlibp2p.SimpleLibp2pNetwork([]simlibp2p.NodeLinkSettingsAndCount{{
		LinkSettings: simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}, Count: n,
	}}, simnet.StaticLatency(20*time.Millisecond), simlibp2p.NetworkSettings{})
	if err != nil {
		t.Fatal(err)
	}
	sim.Start()
	t.Cleanup(sim.Close)
	for _, h := range meta.Nodes {
		t.Cleanup(func() { _ = h.Close() })
	}
	return meta.Nodes
}

// connect joins two peers.
func connect(t *testing.T, a, b host.Host) {
	t.Helper()
	if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

// bus starts a bus on h in the name of h.
func bus(t *testing.T, h host.Host, cfg pubsub.Config) *pubsub.Bus {
	t.Helper()
	return opened(t)(pubsub.New(t.Context(), h, h.Peerstore().PrivKey(h.ID()), cfg))
}

func opened(t *testing.T) func(*pubsub.Bus, error) *pubsub.Bus {
	return func(b *pubsub.Bus, err error) *pubsub.Bus {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
		return b
	}
}

// ear collects what a bus hears.
type ear struct{ heard chan pubsub.Update }

func listen(t *testing.T, b *pubsub.Bus) *ear {
	ctx, cancel := context.WithCancel(t.Context())
	e := &ear{make(chan pubsub.Update, 1000)}
	done := make(chan struct{})
	updates := b.Updates(ctx)
	go func() {
		defer close(done)
		for u, err := range updates {
			if err == nil {
				e.heard <- u
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return e
}

// take answers what has been heard since it was last asked.
func (e *ear) take() (us []pubsub.Update) {
	for {
		select {
		case u := <-e.heard:
			us = append(us, u)
		default:
			return us
		}
	}
}

// stranger is a peer that speaks gossipsub and keeps none of our rules.
type stranger struct {
	topic *gossip.Topic
	sub   *gossip.Subscription
}

// unique numbers messages, so that a stranger may say the same thing twice.
func unique() gossip.MsgIdFunction {
	var n atomic.Uint64
	return func(*rpc.Message) string { return strconv.FormatUint(n.Add(1), 10) }
}

// newStranger joins topic, and as many others as others says.
func newStranger(t *testing.T, h host.Host, topic string, others ...int) *stranger {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ps, err := gossip.NewGossipSub(ctx, h, gossip.WithMessageSignaturePolicy(gossip.StrictNoSign),
		gossip.WithNoAuthor(), gossip.WithMessageIdFn(unique()),
		gossip.WithFloodPublish(true)) // also to who has put it out of the mesh
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{}
	if s.topic, err = ps.Join(topic); err != nil {
		t.Fatal(err)
	}
	if s.sub, err = s.topic.Subscribe(); err != nil {
		t.Fatal(err)
	}
	for _, n := range others {
		for i := range n {
			other, err := ps.Join("/other/" + strconv.Itoa(i))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := other.Subscribe(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// say sends data as it is and waits until it has arrived.
func (s *stranger) say(t *testing.T, data []byte) {
	t.Helper()
	if err := s.topic.Publish(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
}

// overhear answers the next message that reaches the stranger.
func (s *stranger) overhear(t *testing.T) []byte {
	t.Helper()
	m, err := s.sub.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.Data
}

// settle lets meshes form.
func settle() { time.Sleep(5 * time.Second) }

// key makes the n-th key of the tests.
func key(t testing.TB, n byte) (crypto.PrivKey, peer.ID) {
	t.Helper()
	k, _, err := crypto.GenerateEd25519Key(bytes.NewReader(bytes.Repeat([]byte{n}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return k, id
}

// sample is a good update said by the n-th key at now, and its envelope.
func sample(t testing.TB, n byte, now time.Time) (pubsub.Update, []byte) {
	t.Helper()
	_, id := key(t, n)
	u := pubsub.Update{
		From: id, Seq: uint64(now.UnixNano()), Root: "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
		Name: "näme.txt", Size: 12345, Time: now.UTC().Truncate(time.Millisecond),
		Expires: now.UTC().Truncate(time.Millisecond).Add(time.Hour),
	}
	return u, seal(t, n, topic, u)
}

func seal(t testing.TB, n byte, topic string, u pubsub.Update) []byte {
	t.Helper()
	k, _ := key(t, n)
	data, err := pubsub.Seal(k, topic, u)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var topic = pubsub.Topic("main")
