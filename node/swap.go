package node

// swaps are bytes of blocks that were exchanged by bitswap.
type swaps struct{ in, out int64 }

// swapped is what was exchanged since the start.
func (n *Node) swapped() swaps {
	if n.swap == nil {
		return swaps{}
	}
	return swaps{n.swap.Received(), n.swap.Sent()}
}
