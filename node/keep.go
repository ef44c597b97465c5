package node

import (
	"context"
	"fmt"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/ipfs/go-cid"
)

// The keep story has no beginning and no end: replica.Set.Run watches who comes and
// goes near the blocks that this peer holds for somebody, and asks
//
//	whom does it touch? → am I the closest live one that has it? → who lacks it? → give
//	have r closer ones all had it for long? → do they prove it? → let go
//
// This file is how anyone can see that it works.

// repairRate is how many bytes a second copies may take that are not urgent, less than 0
// for no limit.
func (c Config) repairRate() int64 {
	switch {
	case c.Replica.RepairRate > 0:
		return int64(c.Replica.RepairRate)
	case c.Network.Profile == ProfileTestnet:
		return -1
	}
	return 8 << 20
}

// maxChecked bounds the blocks of one health check.
const maxChecked = 1 << 20

// Health counts the copies of everything under path, as their holders prove them
// now. detail fills in each block's holders. Somebody must have the inner blocks
// for them to be walked: if not, the error says which one is missing.
func (n *Node) Health(ctx context.Context, path string, detail bool) (blocks.Health, error) {
	ctx, root, err := n.at(ctx, path)
	if err != nil {
		return blocks.Health{}, fmt.Errorf("health: %w", err)
	}
	all, err := n.everything(ctx, root)
	if err != nil {
		return blocks.Health{}, fmt.Errorf("health: %w", err)
	}
	h, err := n.set.Health(ctx, root, all, n.fetch)
	if err != nil {
		return h, fmt.Errorf("health: %w", err)
	}
	n.seen.note(root, h.Min)
	if !detail {
		h.Detail = nil
	}
	return h, nil
}

// everything gives every block under root, the root first.
func (n *Node) everything(ctx context.Context, root cid.Cid) (all []replica.Sized, err error) {
	for v, err := range dag.Walk(ctx, n.nodes(ctx), root) {
		if err != nil {
			return nil, err
		}
		if all = append(all, replica.Sized(v)); len(all) > maxChecked {
			return nil, fmt.Errorf("more than %d blocks under %s", maxChecked, root)
		}
	}
	return all, nil
}
