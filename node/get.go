package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/go-cid"
)

// Get opens the file that path names. Its blocks are fetched as they are read, from
// this peer or from their holders, each checked on its way in. ctx governs all that.
func (n *Node) Get(ctx context.Context, path string) (*File, error) {
	opened := time.Now()
	ctx, root, err := n.at(ctx, path) // path → root
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	f, err := dag.Open(ctx, n.nodes(ctx), root) // root → local store | holders → check → stream
	if errors.Is(err, dag.ErrDir) {
		return nil, fmt.Errorf("get: %w", &blocks.PathError{Path: path, Offset: 0, Reason: "is a directory: name a file in it"})
	}
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	return n.timed(f, opened), nil
}

// Leaves yields the blocks of the file that path names, with where in it they lie. It asks
// for their parents alone.
func (n *Node) Leaves(ctx context.Context, path string) iter.Seq2[blocks.Leaf, error] {
	return func(yield func(blocks.Leaf, error) bool) {
		ctx, root, err := n.at(ctx, path)
		if err != nil {
			yield(blocks.Leaf{}, fmt.Errorf("leaves: %w", err))
			return
		}
		for l, err := range dag.Leaves(ctx, n.nodes(ctx), root) {
			if errors.Is(err, dag.ErrDir) {
				err = &blocks.PathError{Path: path, Offset: 0, Reason: "is a directory: name a file in it"}
			}
			if err != nil {
				err = fmt.Errorf("leaves: %w", err)
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

// under notes which root path begins with; what is wrong with path is said by others.
func under(ctx context.Context, path string) context.Context {
	if root, _, err := dag.ParsePath(path); err == nil {
		return blocks.WithRoot(ctx, root)
	}
	return ctx
}

// Resolve gives the CID that path names, through the directories on the way.
// A path may begin with a name, which is followed as [Node.NameSystem] does.
func (n *Node) Resolve(ctx context.Context, path string) (cid.Cid, error) {
	_, c, err := n.at(ctx, path)
	return c, err
}

// at is Resolve, and notes in the context which root path begins with.
func (n *Node) at(ctx context.Context, path string) (context.Context, cid.Cid, error) {
	ctx, path, err := n.follow(ctx, path)
	if err != nil {
		return ctx, cid.Undef, err
	}
	root, segments, err := dag.ParsePath(path)
	if err != nil || len(segments) == 0 {
		return ctx, root, err
	}
	c, err := dag.Resolve(ctx, n.nodes(ctx), root, segments)
	return ctx, c, err
}

// notDir says of a path that is listed and is no directory what is wrong with it.
func notDir(path string, err error) error {
	if errors.Is(err, dag.ErrNotDir) {
		return &blocks.PathError{Path: path, Offset: 0, Reason: "is not a directory"}
	}
	return err
}
