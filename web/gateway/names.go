package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	boxo "github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/namesys"
	"github.com/ipfs/boxo/path"
	"github.com/libp2p/go-libp2p/core/crypto"
)

// noNames resolves nothing, so that no request makes this peer ask a name server.
type noNames struct{}

func (noNames) Resolve(context.Context, path.Path, ...namesys.ResolveOption) (namesys.Result, error) {
	return namesys.Result{}, namesys.ErrNoNamesys
}

func (noNames) ResolveAsync(context.Context, path.Path, ...namesys.ResolveOption) <-chan namesys.AsyncResult {
	out := make(chan namesys.AsyncResult, 1)
	out <- namesys.AsyncResult{Err: namesys.ErrNoNamesys}
	close(out)
	return out
}

func (noNames) Publish(context.Context, crypto.PrivKey, path.Path, ...namesys.PublishOption) error {
	return namesys.ErrNoNamesys
}

// maxHops is how many names may lead to each other before one leads to content.
const maxHops = 8

// named resolves as the name system it is made of, but not for ever.
type named struct{ namesys.NameSystem }

// Resolve is namesys.Resolver's.
func (n named) Resolve(ctx context.Context, p path.Path, opts ...namesys.ResolveOption) (namesys.Result, error) {
	opts = append([]namesys.ResolveOption{namesys.ResolveWithDepth(maxHops)}, opts...)
	res, err := n.NameSystem.Resolve(ctx, p, opts...)
	if errors.Is(err, namesys.ErrResolveRecursion) && namesys.ProcessResolveOptions(opts).Depth >= maxHops {
		err = boxo.NewErrorStatusCode(fmt.Errorf("more than %d names lead to each other: %w", maxHops, err), http.StatusLoopDetected)
	}
	return res, err
}
