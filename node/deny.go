package node

import (
	"context"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Denied reports whether the owner's denylists forbid the block c.
func (n *Node) Denied(c cid.Cid) bool { return n.deny.Block(c) }

// DeniedPath reports whether they forbid /ipfs/CID/a/b or /ipns/NAME/a/b.
func (n *Node) DeniedPath(path string) bool { return n.deny.Path(path) }

func (n *Node) deniedHash(h mh.Multihash) bool { return n.deny != nil && n.deny.Block(blocks.Key(h)) }

// keeper keeps for others what is not denied.
type keeper struct {
	*replica.Set
	denied func(mh.Multihash) bool
}

// Offer is wire.Keeper's.
func (k keeper) Offer(ctx context.Context, from peer.ID, l blocks.Lease, items []wire.Item) ([]wire.Status, error) {
	out := make([]wire.Status, len(items))
	var rest []wire.Item
	var at []int
	for i, it := range items {
		if k.denied(it.Hash) {
			out[i] = wire.Banned
			continue
		}
		rest, at = append(rest, it), append(at, i)
	}
	if len(rest) == 0 {
		return out, nil
	}
	said, err := k.Set.Offer(ctx, from, l, rest)
	if err != nil {
		return nil, err
	}
	for j, s := range said {
		out[at[j]] = s
	}
	return out, nil
}
