package dag

import (
	"context"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// SplitOn is Split on a number of threads of the test's choice.
var SplitOn = split

// OpenIn is Open with a window of the test's choice.
func OpenIn(ctx context.Context, ng ipld.NodeGetter, root cid.Cid, bytes int64, blocks int) (*File, error) {
	return openIn(ctx, ng, root, window{bytes, blocks})
}
