package node

import (
	"context"
	"fmt"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
)

// hash makes the blocks of what and forgets them: it says what a put would give.
func (n *Node) hash(ctx context.Context, what content, o blocks.PutOptions) (rc blocks.Receipt, err error) {
	layout, err := dag.LayoutOf(o)
	if err != nil {
		return rc, fmt.Errorf("put: %w", err)
	}
	seen := map[string]bool{}
	for b, err := range what.blocks(layout) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return rc, fmt.Errorf("put: %w", err)
		}
		rc.Root = b.Cid()
		seen[string(b.Hash())] = true
	}
	rc.Name, rc.Size, rc.Blocks = o.Name, *what.size, len(seen)
	return rc, nil
}
