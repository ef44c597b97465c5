package replica_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"
)

// putter puts the same blocks into a mesh, of which it is no member, under one lease after
// the other; what it remembers is on its disk.
type putter struct {
	m    *mesh
	cfg  replica.Config
	r    int
	self peer.ID
	disk *blockstest.Mem
	bs   []blocks.Block
}

func newPutter(t *testing.T, m *mesh, cfg replica.Config, n, r int) *putter {
	t.Helper()
	self, err := peer.IDFromPrivateKey(blockstest.Key(1))
	if err != nil {
		t.Fatal(err)
	}
	p := &putter{m: m, cfg: cfg, r: r, self: self, disk: new(blockstest.Mem)}
	for i := range n {
		p.bs = append(p.bs, blocks.New(cid.Raw, blockstest.Random(uint64(i), 100)))
	}
	return p
}

// put puts all of it and gives up after that long, which ends the peer at whatever it was
// doing; 0 is when it is done. It gives what had come of it, in blocks brought to anybody.
func (p *putter) put(t *testing.T, seq uint64, after time.Duration) (done bool, brought int) {
	t.Helper()
	var hs []mh.Multihash
	for _, b := range p.bs {
		hs = append(hs, b.Hash())
	}
	l, err := blocks.Grant(blockstest.Key(1), blocks.Lease{Root: p.bs[0].Cid(), Seq: seq, Issued: time.Now(), Expires: time.Now().Add(time.Hour), Bytes: uint64(len(p.bs)) * 100, R: p.r})
	if err != nil {
		t.Fatal(err)
	}
	pin := blocks.Pin{Root: l.Root, Lease: l.ID(), Blocks: len(p.bs), Pending: true}
	if err := errors.Join(p.disk.Put(t.Context(), p.bs...), p.disk.Hold(t.Context(), l, hs...), p.disk.Pin(t.Context(), pin)); err != nil {
		t.Fatal(err)
	}
	e := &end{p.m, p.self, make(chan struct{}, 1)}
	s := replica.New(p.self, p.disk, p.disk, e, e, p.cfg)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	wait := ctx
	if after > 0 {
		var stop context.CancelFunc
		wait, stop = context.WithTimeout(ctx, after)
		defer stop()
	}
	got, err := s.Queue(l, pin).Wait(wait, blocks.WaitFull, nil)
	if err != nil && after == 0 {
		t.Errorf("put %d: %+v, %v", seq, got, err)
	}
	cancel()
	wg.Wait()
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	for _, k := range p.m.stored {
		brought += k
	}
	return err == nil, brought
}

// What is put again, under a newer lease, is brought to nobody a second time, whether its
// publisher brings it to all holders or to two of them.
func TestWhatIsPutAgainCostsNoBlock(t *testing.T) {
	for name, fanout := range map[string]int{"to all": blocks.MaxReplicas, "w = 2": 2, "w = 1": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n, r = 50, 4
				cfg := replica.Config{NoRepair: true, NoAudit: true, PeerRate: -1, Fanout: fanout}
				m := newMesh(6, cfg)
				m.run(t)
				p := newPutter(t, m, cfg, n, r)
				_, first := p.put(t, 1, 0)
				_, again := p.put(t, 2, 0)
				if first != n*r || again != first {
					t.Errorf("%d blocks were brought for the first put, %d more for the second", first, again-first)
				}
			})
		})
	}
}

// Invariant 7: a put that ends anywhere, as often as it may, goes on from its journal. In the end
// every block is on the disks of all its holders, and was brought to each of them once.
func TestAPutGoesOnAfterACrashAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rapid.IntRange(1, 5).Draw(rt, "r")
		peers := rapid.IntRange(1, r+3).Draw(rt, "peers")
		n := rapid.IntRange(1, 200).Draw(rt, "blocks")
		fanout := rapid.IntRange(1, 5).Draw(rt, "w")
		lag := time.Duration(rapid.IntRange(1, 100).Draw(rt, "lag")) * time.Millisecond
		crashes := rapid.SliceOfN(rapid.IntRange(1, 1500), 0, 4).Draw(rt, "crashes after ms")
		synctest.Test(t, func(t *testing.T) {
			cfg := replica.Config{NoRepair: true, NoAudit: true, PeerRate: -1, Fanout: fanout}
			m := newMesh(peers, cfg)
			m.lag = lag
			m.run(t)
			p := newPutter(t, m, cfg, n, r)
			for _, ms := range crashes {
				p.put(t, 1, time.Duration(ms)*time.Millisecond)
			}
			_, brought := p.put(t, 1, 0)
			for i, b := range p.bs {
				if got := m.copies(b, ""); got != min(r, peers) {
					rt.Errorf("block %d has %d copies, want %d", i, got, min(r, peers))
				}
			}
			if want := n * min(r, peers); brought != want {
				rt.Errorf("%d blocks were brought, want %d", brought, want)
			}
			if _, again := p.put(t, 2, 0); again != brought {
				rt.Errorf("%d blocks were brought when all of it was put again", again-brought)
			}
		})
	})
}
