package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/node/link"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Line is the access line of a peer of a testnet; nil for any other.
func (n *Node) Line() *link.Line { return n.line }

// Flow sends bytes to another peer of the testnet over one bare stream and says how
// long it took until the other had checked them: what no protocol can exceed.
func (n *Node) Flow(ctx context.Context, to string, bytes int64) (time.Duration, error) {
	id, err := peer.Decode(to)
	if err != nil {
		return 0, fmt.Errorf("node: flow: peer %q: %w", to, err)
	}
	return link.Send(ctx, n.host, id, bytes)
}

// Kept says which of cs this peer has, whole and under a standing lease, as its own disk
// shows: what a holder would prove.
func (n *Node) Kept(ctx context.Context, cs []cid.Cid) ([]bool, error) {
	kept := make([]bool, len(cs))
	for i, c := range cs {
		state, err := wire.StateOf(ctx, n.store, n.ledger, c.Hash())
		if err != nil {
			return nil, fmt.Errorf("node: kept: %w", err)
		}
		kept[i] = state == wire.Held && n.store.View(ctx, c.Hash(), func([]byte) error { return nil }) == nil
	}
	return kept, nil
}

// Lose deletes the bytes of blocks and leaves everything that says they are here, as a
// bad disk does. It is for the peers of a testnet; any other refuses.
func (n *Node) Lose(ctx context.Context, cs []cid.Cid) error {
	if n.line == nil {
		return errors.New("node: lose: this is no peer of a testnet")
	}
	hs := make([]mh.Multihash, len(cs))
	for i, c := range cs {
		hs[i] = c.Hash()
	}
	if err := n.store.Delete(ctx, hs...); err != nil {
		return fmt.Errorf("node: lose: %w", err)
	}
	return nil
}
