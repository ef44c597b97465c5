package node

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-network/cairn/node/link"
	"github.com/libp2p/go-libp2p/core/peer"
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
