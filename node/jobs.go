package node

import (
	"context"

	"github.com/cairn-network/cairn/blocks"
)

// Jobs gives the puts whose journal is open, oldest first: [Node.Run] goes on with
// them until every block has all the copies that the network can hold.
func (n *Node) Jobs(ctx context.Context) ([]blocks.Job, error) { return n.set.Jobs(ctx) }
