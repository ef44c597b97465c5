package main

import (
	"context"

	"github.com/cairn-network/cairn/web/rpc"
	"github.com/ipfs/go-cid"
)

var _ rpc.Keeper = (*face)(nil)

// Draft begins a change of the mutable files.
func (f *face) Draft() rpc.Draft { return f.n.Draft() }

// Hold keeps collections from everything under roots.
func (f *face) Hold(roots ...cid.Cid) { f.n.Hold(roots...) }

// Keep pins root with a lease, and has it brought to others.
func (f *face) Keep(ctx context.Context, root cid.Cid) error { return f.n.Keep(ctx, root) }

// Await waits until root has its quorum of copies elsewhere.
func (f *face) Await(ctx context.Context, root cid.Cid) error { return f.n.Await(ctx, root) }

// Displace takes back what Keep did.
func (f *face) Displace(ctx context.Context, root cid.Cid) error { return f.n.Displace(ctx, root) }
