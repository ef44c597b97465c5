package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	routeProof   = 5 * time.Second // for holders to say that they have a block
	routeRecords = 20              // peers on record, at most, and closest peers
)

// Routing is what this peer knows of who has what and who is where, for others to ask.
type Routing struct{ n *Node }

// Routing answers for n.
func (n *Node) Routing() Routing { return Routing{n} }

// Providers gives who has c: those that have just proved it, then those that merely read
// it, then those that have left a record. When the proofs did not come in time those come
// first who should have it. Nobody is no error.
func (r Routing) Providers(ctx context.Context, c cid.Cid) (out []peer.AddrInfo, err error) {
	proof, cancel := context.WithTimeout(ctx, routeProof)
	defer cancel()
	where, err := r.n.whereIs(proof, c)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("node: providers: %w", ctx.Err())
	}
	var ids []peer.ID
	if here, hasErr := r.n.store.Has(ctx, c.Hash()); hasErr == nil && here {
		ids = append(ids, r.n.host.ID())
	}
	for _, says := range []string{blocks.SaysProved, blocks.SaysRead} {
		for _, a := range where.Answers {
			if a.Says == says {
				ids = append(ids, a.Peer)
			}
		}
	}
	if err != nil {
		likely, _, _ := r.n.router.Closest(ctx, c.Hash(), r.n.cfg.Replica.R) // nobody: the records must do
		ids = append(ids, likely...)
	}
	recorded, recErr := r.n.router.Providers(ctx, c.Hash(), routeRecords)
	ids = append(ids, recorded...)
	if len(ids) == 0 && err != nil && recErr != nil {
		return nil, fmt.Errorf("node: providers: %w", recErr)
	}
	return r.known(ids), nil
}

// Peer says where a peer is.
func (r Routing) Peer(ctx context.Context, id peer.ID) (peer.AddrInfo, error) {
	return r.n.router.Find(ctx, id)
}

// Closest gives the members closest to key.
func (r Routing) Closest(ctx context.Context, key cid.Cid) ([]peer.AddrInfo, error) {
	ids, _, err := r.n.router.Closest(ctx, key.Hash(), routeRecords)
	if err != nil {
		return nil, fmt.Errorf("node: closest: %w", err)
	}
	return r.known(ids), nil
}

// known gives each of ids once, with its addresses.
func (r Routing) known(ids []peer.ID) []peer.AddrInfo {
	var out []peer.AddrInfo
	for _, id := range ids {
		if !slices.ContainsFunc(out, func(p peer.AddrInfo) bool { return p.ID == id }) {
			out = append(out, r.n.router.Known(id))
		}
	}
	return out
}
