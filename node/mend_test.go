package node_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// copiesAfterReading puts files, loses each at all of its holders but one and lets the others
// read it: how many of the copies that were lost are there again?
func copiesAfterReading(t *testing.T, change func(*node.Config)) (again, lost int) {
	const r, author = 3, 0
	cfg := nodetest.Config()
	cfg.Replica.R = r
	change(&cfg)
	w := nodetest.New(t, 16, cfg)
	// Once in some thousand times none of twelve readers asks one who lacks a file first;
	// so there are more files.
	var left []func() (bool, error)
	for seed := range uint64(4) {
		data := blockstest.Random(seed, 1000)
		rc, err := w.Nodes[author].Put(t.Context(), bytes.NewReader(data), blocks.PutOptions{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var without []int
		for _, i := range w.Holders(rc.Root) {
			if i != author && len(without) < r-1 {
				without = append(without, i)
				left = append(left, func() (bool, error) { return w.Mem[i].Has(t.Context(), rc.Root.Hash()) })
				if err := w.Mem[i].Delete(t.Context(), rc.Root.Hash()); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range w.Nodes {
			if slices.Contains(without, i) || slices.Contains(w.Holders(rc.Root), i) {
				continue
			}
			f, err := w.Nodes[i].Get(t.Context(), rc.Root.String())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			_ = f.Close()
		}
	}
	time.Sleep(500 * time.Millisecond) // the holders' own rounds are 10 s apart
	for _, has := range left {
		if h, _ := has(); h {
			again++
		}
	}
	return again, len(left)
}

// A get that finds holders without a block brings it to them. The control repairs
// nothing.
func TestAGetMendsWhatItFindsMissing(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*node.Config)
		mended bool
	}{
		"mended":  {func(*node.Config) {}, true},
		"control": {func(c *node.Config) { c.Replica.Repair = false }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				again, lost := copiesAfterReading(t, tt.change)
				if lost == 0 || (again > 0) != tt.mended {
					t.Errorf("%d of %d copies that were lost came back", again, lost)
				}
			})
		})
	}
}

// given is a network of holders of which it is noted under which leases each is brought a block.
type given struct {
	holders []peer.ID
	leases  []blocks.Lease
	to      map[peer.ID][]blocks.LeaseID
}

func (g *given) Closest(context.Context, mh.Multihash, int) ([]peer.ID, bool, error) {
	return slices.Clone(g.holders), true, nil
}

func (g *given) Leases(context.Context, peer.ID, mh.Multihash) ([]blocks.Lease, error) {
	return slices.Clone(g.leases), nil
}

func (g *given) Offer(_ context.Context, p peer.ID, l blocks.Lease, _ wire.Reason, items []wire.Item, _ wire.Lender, tell func(int, wire.Ack)) error {
	g.to[p] = append(g.to[p], l.ID())
	for i := range items {
		tell(i, wire.Ack{Status: wire.Have})
	}
	return nil
}

// What is brought to a holder that lacked it is held there for everybody who has placed it and
// whose lease stands.
func TestAGetMendsForAllWhoHavePlacedABlock(t *testing.T) {
	b, now := blocks.New(cid.Raw, blockstest.Random(1, 1000)), time.Now()
	over := blockstest.Lease(3, 1, b.Cid(), now)
	over.State = blocks.LeaseRevoked
	over = blockstest.Must(blocks.Grant(blockstest.Key(3), over))
	g := &given{holders: []peer.ID{"has", "lacks"}, leases: []blocks.Lease{blockstest.Lease(1, 1, b.Cid(), now), blockstest.Lease(2, 1, b.Cid(), now), over}, to: map[peer.ID][]blocks.LeaseID{}}
	if err := node.MendOne(t.Context(), g, fetch.Found{Block: b, From: "has", Lack: []peer.ID{"lacks", "far"}}); err != nil {
		t.Fatal(err)
	}
	if len(g.to) != 1 || !slices.Equal(g.to["lacks"], []blocks.LeaseID{g.leases[0].ID(), g.leases[1].ID()}) {
		t.Errorf("brought under %v", g.to)
	}
}
