package node_test

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/host"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	lhost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// panicky is a store that panics when it is read, while it is told to.
type panicky struct {
	*blockstest.Mem
	on atomic.Bool
}

func (p *panicky) View(ctx context.Context, h mh.Multihash, use func([]byte) error) error {
	if p.on.Load() {
		panic("boom")
	}
	return p.Mem.View(ctx, h, use)
}

func newHost(t *testing.T) (lhost.Host, crypto.PrivKey) {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Private: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h, key
}

// A stranger's request that makes a handler panic costs it the answer; the peer counts it
// and answers the next one.
func TestAPanicCostsOneAnswerAndIsCounted(t *testing.T) {
	h, key := newHost(t)
	st := &panicky{Mem: new(blockstest.Mem)}
	cfg := node.DefaultConfig()
	cfg.Network.Profile = node.ProfileTestnet
	n, err := node.New(t.Context(), node.Parts{Key: key, Host: h, Store: st, Ledger: st.Mem}, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := blocks.New(cid.Raw, []byte("a block"))
	if err := st.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	stranger, _ := newHost(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := stranger.Connect(ctx, peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		t.Fatal(err)
	}
	c := wire.NewClient(stranger, wire.Config{})
	st.on.Store(true)
	if _, err := c.Fetch(ctx, h.ID(), b.Cid()); err == nil {
		t.Error("an answer came")
	}
	until(t, "one panic counted", func() bool { return value(t, n, "cairn_panics_total", node.PartWire) == 1 })
	st.on.Store(false)
	if got, err := c.Fetch(ctx, h.ID(), b.Cid()); err != nil || got.Cid() != b.Cid() {
		t.Errorf("the next one: %v", err)
	}
}
