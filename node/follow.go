package node

import (
	"context"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/namesys"
	"github.com/ipfs/boxo/path"
)

// follow gives a path that begins with a CID: path itself, or what the name that it begins
// with stands for now. It notes in the context which root that is.
func (n *Node) follow(ctx context.Context, text string) (context.Context, string, error) {
	name, segments, named, err := dag.SplitName(text)
	if err != nil {
		return ctx, text, err
	}
	if named {
		if text, err = n.named(ctx, name, segments); err != nil {
			return ctx, text, err
		}
	}
	return under(ctx, text), text, nil
}

// named gives the path that segments below a name lead to, without names in it.
func (n *Node) named(ctx context.Context, name string, segments []string) (string, error) {
	whole, err := path.NewPathFromSegments(append([]string{path.IPNSNamespace, name}, segments...)...)
	if err != nil {
		return "", &blocks.PathError{Path: ipns.NamespacePrefix + name, Reason: err.Error()}
	}
	res, err := n.names.system.Resolve(ctx, whole, namesys.ResolveWithDepth(nameHops))
	if err != nil {
		return "", unnamed(ctx, name, err)
	}
	return strings.TrimSuffix(res.Path.String(), "/"), nil
}

// rootOf takes a path apart that begins with a CID or a name.
func rootOf(text string) (namespace, root string, segments []string, err error) {
	name, segments, named, err := dag.SplitName(text)
	if err != nil {
		return "", "", nil, err
	}
	if named {
		return path.IPNSNamespace, name, segments, nil
	}
	c, segments, err := dag.ParsePath(text)
	if err != nil {
		return "", "", nil, err
	}
	return path.IPFSNamespace, c.String(), segments, nil
}
