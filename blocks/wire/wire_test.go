package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	mh "github.com/multiformats/go-multihash"
)

// keeper keeps whatever comes, in m.
type keeper struct{ m *blockstest.Mem }

func (k keeper) Offer(ctx context.Context, _ peer.ID, l blocks.Lease, items []Item) ([]Status, error) {
	out := make([]Status, len(items))
	for i, it := range items {
		if ok, err := k.m.Has(ctx, it.Hash); err != nil {
			return nil, err
		} else if ok {
			out[i] = Have
			if err := k.m.Hold(ctx, l, it.Hash); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (k keeper) Keep(ctx context.Context, _ peer.ID, l blocks.Lease, bs ...blocks.Block) error {
	hs := make([]mh.Multihash, len(bs))
	for i, b := range bs {
		hs[i] = b.Hash()
	}
	return errors.Join(k.m.Put(ctx, bs...), k.m.Hold(ctx, l, hs...))
}

func lease(t testing.TB, root cid.Cid) blocks.Lease {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l, err := blocks.Grant(key, blocks.Lease{Root: root, Seq: 1, Issued: time.Now(), Expires: time.Now().Add(time.Hour), R: 3})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// pair is two hosts that are connected: an asker and a server whose blocks are mem.
func pair(t *testing.T, serve func(host.Host)) (*Client, peer.ID) {
	t.Helper()
	return pairAt(t, 100*simlibp2p.OneMbps, serve)
}

func pairAt(t *testing.T, bitsPerSecond int, serve func(host.Host)) (*Client, peer.ID) {
	t.Helper()
	link := simnet.LinkSettings{BitsPerSecond: bitsPerSecond}
	sim, meta, err := simlibp2p.SimpleLibp2pNetwork([]simlibp2p.NodeLinkSettingsAndCount{{
		LinkSettings: simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}, Count: 2,
	}}, simnet.StaticLatency(10*time.Millisecond), simlibp2p.NetworkSettings{})
	if err != nil {
		t.Fatal(err)
	}
	sim.Start()
	a, b := meta.Nodes[0], meta.Nodes[1]
	t.Cleanup(func() { _ = a.Close(); _ = b.Close(); sim.Close() })
	serve(b)
	if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
	return NewClient(a, Config{}), b.ID()
}

// A block goes over, is held, is told of, is proved, and comes back.
func TestBlockGoesOverAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, mem := t.Context(), new(blockstest.Mem)
		c, p := pair(t, func(h host.Host) { t.Cleanup(Serve(h, mem, mem, keeper{mem}, Config{})) })
		b, cached := blocks.New(cid.Raw, blockstest.Random(1, blocks.MaxSize)), blocks.New(cid.Raw, []byte("read"))
		absent := blocks.New(cid.Raw, []byte("absent"))
		if err := mem.Put(ctx, cached); err != nil {
			t.Fatal(err)
		}
		l := lease(t, b.Cid())
		for i, want := range []bool{true, false} { // the second time no byte is sent
			if sent, err := c.Store(ctx, p, l, b); err != nil || sent != want {
				t.Fatalf("store %d: sent %v, %v", i, sent, err)
			}
		}
		if got, err := c.Fetch(ctx, p, b.Cid()); err != nil || !bytes.Equal(got.RawData(), b.RawData()) {
			t.Fatalf("fetch: %v", err)
		}
		if _, err := c.Fetch(ctx, p, absent.Cid()); !blocks.IsNotFound(err) {
			t.Errorf("fetch of nothing: %v", err)
		}
		hs := []mh.Multihash{b.Hash(), cached.Hash(), absent.Hash()}
		states, err := c.States(ctx, p, hs)
		if err != nil || states[0] != Held || states[1] != Here || states[2] != Absent {
			t.Errorf("states %v, %v", states, err)
		}
		nonce := bytes.Repeat([]byte{7}, nonceSize)
		proofs, err := c.Prove(ctx, p, nonce, hs)
		if err != nil || !bytes.Equal(proofs[0].MAC, Proof(nonce, b.RawData())) || proofs[0].State != Held ||
			proofs[1].State != Here || proofs[2].State != Absent || len(proofs[2].MAC) != 0 {
			t.Errorf("proofs %v, %v", proofs, err)
		}
		ls, err := c.Leases(ctx, p, b.Hash())
		if err != nil || len(ls) != 1 || ls[0].ID() != l.ID() || ls[0].Valid(time.Now()) != nil {
			t.Errorf("leases %v, %v", ls, err)
		}
	})
}

// What must not be held is refused, with the reason, before its bytes are sent.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, mem := t.Context(), new(blockstest.Mem)
		c, p := pair(t, func(h host.Host) { t.Cleanup(Serve(h, mem, mem, keeper{mem}, Config{})) })
		b := blocks.New(cid.Raw, []byte("x"))
		weak, err := mh.Sum([]byte("x"), mh.SHA1, -1)
		if err != nil {
			t.Fatal(err)
		}
		itself, err := mh.Sum([]byte("x"), mh.IDENTITY, -1)
		if err != nil {
			t.Fatal(err)
		}
		old := lease(t, b.Cid())
		old.Expires = old.Issued.Add(-time.Hour)
		forged := lease(t, b.Cid())
		forged.R = 4
		for name, tt := range map[string]struct {
			l    blocks.Lease
			b    blocks.Block
			code Status
		}{
			"sha1":    {lease(t, b.Cid()), blocks.Hashed(cid.NewCidV1(cid.Raw, weak), []byte("x")), Unfit},
			"data":    {lease(t, b.Cid()), blocks.Hashed(cid.NewCidV1(cid.Raw, itself), []byte("x")), Unfit},
			"large":   {lease(t, b.Cid()), blocks.New(cid.Raw, make([]byte, blocks.MaxSize+1)), Unfit},
			"expired": {old, b, BadLease},
			"forged":  {forged, b, BadLease},
		} {
			sent, err := c.Store(ctx, p, tt.l, tt.b)
			var no *Refusal
			if sent || !errors.As(err, &no) || no.Code != tt.code {
				t.Errorf("%s: sent %v, %v; want a refusal with code %d", name, sent, err, tt.code)
			}
		}
		for range mem.All(ctx) {
			t.Error("something was kept")
		}
	})
}

// Bytes that are not what was offered are not kept, whoever sends them.
func TestPoisonIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, mem := t.Context(), new(blockstest.Mem)
		c, p := pair(t, func(h host.Host) { t.Cleanup(Serve(h, mem, mem, keeper{mem}, Config{})) })
		b := blocks.New(cid.Raw, []byte("good"))
		sent, err := c.Store(ctx, p, lease(t, b.Cid()), blocks.Hashed(b.Cid(), []byte("evil")))
		var no *Refusal
		if !sent || !errors.As(err, &no) || no.Code != Mismatch {
			t.Fatalf("sent %v, %v", sent, err)
		}
		for range mem.All(ctx) {
			t.Error("poison was kept")
		}
	})
}

// One peer that opens streams without end and says nothing on them takes its own few
// slots: another one is answered at once.
func TestOnePeerDoesNotCrowdOutTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, mem, b := t.Context(), new(blockstest.Mem), blocks.New(cid.Raw, []byte("x"))
		if err := mem.Put(ctx, b); err != nil {
			t.Fatal(err)
		}
		link := simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps}
		sim, meta, err := simlibp2p.SimpleLibp2pNetwork([]simlibp2p.NodeLinkSettingsAndCount{{
			LinkSettings: simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}, Count: 3,
		}}, simnet.StaticLatency(10*time.Millisecond), simlibp2p.NetworkSettings{})
		if err != nil {
			t.Fatal(err)
		}
		sim.Start()
		server, crowd, guest := meta.Nodes[0], meta.Nodes[1], meta.Nodes[2]
		t.Cleanup(func() { _ = errors.Join(server.Close(), crowd.Close(), guest.Close()); sim.Close() })
		t.Cleanup(Serve(server, mem, mem, keeper{mem}, Config{}))
		for _, h := range []host.Host{crowd, guest} {
			if err := h.Connect(ctx, peer.AddrInfo{ID: server.ID(), Addrs: server.Addrs()}); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 * perPeer {
			s, err := crowd.NewStream(ctx, server.ID(), Protocol)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		t0 := time.Now()
		if _, err := NewClient(guest, Config{}).Fetch(ctx, server.ID(), b.Cid()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(t0); d > time.Second {
			t.Errorf("answered after %v", d)
		}
	})
}
