package blocks

import (
	"context"

	"github.com/ipfs/go-cid"
)

type rootKey struct{}

// WithRoot notes in ctx under which root somebody reads. It is a hint for those
// who look for blocks: who is known to have the root probably has what is below
// it. It goes with the context because boxo's code lies between the two.
func WithRoot(ctx context.Context, root cid.Cid) context.Context {
	return context.WithValue(ctx, rootKey{}, root)
}

// RootOf is the root that was noted in ctx, or cid.Undef.
func RootOf(ctx context.Context) cid.Cid {
	root, _ := ctx.Value(rootKey{}).(cid.Cid)
	return root
}
