package main

import (
	"context"
	"io"
	"iter"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
)

// face is a node as the API sees it.
type face struct {
	n            *node.Node
	api, gateway string // URLs
}

var _ api.Node = (*face)(nil)

// Put keeps what r gives until EOF.
func (f *face) Put(ctx context.Context, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	return f.n.Put(ctx, r, o, tell)
}

// PutTree keeps the tree that items make.
func (f *face) PutTree(ctx context.Context, items iter.Seq2[blocks.Item, error], o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	return f.n.PutTree(ctx, items, o, tell)
}

// Jobs gives the puts whose journal is open.
func (f *face) Jobs(ctx context.Context) ([]blocks.Job, error) { return f.n.Jobs(ctx) }

// List yields the entries of a directory.
func (f *face) List(ctx context.Context, path string) iter.Seq2[blocks.Entry, error] {
	return f.n.List(ctx, path)
}

// Leaves yields the blocks of a file.
func (f *face) Leaves(ctx context.Context, path string) iter.Seq2[blocks.Leaf, error] {
	return f.n.Leaves(ctx, path)
}

// Stat says what path names.
func (f *face) Stat(ctx context.Context, path string) (blocks.Stat, error) {
	return f.n.Stat(ctx, path)
}

// Pins yields the roots that are wanted here.
func (f *face) Pins(ctx context.Context) iter.Seq2[blocks.Pin, error] { return f.n.Pins(ctx) }

// Pin fetches everything under path and keeps it.
func (f *face) Pin(ctx context.Context, path, name string, tell func(blocks.Progress)) (blocks.Pin, error) {
	return f.n.Pin(ctx, path, name, tell)
}

// Unpin forgets the pin of path.
func (f *face) Unpin(ctx context.Context, path string) (blocks.Pin, bool, error) {
	return f.n.Unpin(ctx, path)
}

// Leases yields the peer's own leases.
func (f *face) Leases(ctx context.Context) iter.Seq2[blocks.LeaseInfo, error] { return f.n.Leases(ctx) }

// Lease makes others keep everything under path, or for longer.
func (f *face) Lease(ctx context.Context, path string, o blocks.LeaseOptions) (blocks.LeaseInfo, error) {
	return f.n.Lease(ctx, path, o)
}

// Withdraw takes the peer's lease of path back.
func (f *face) Withdraw(ctx context.Context, path string) (blocks.LeaseInfo, error) {
	return f.n.Withdraw(ctx, path)
}

// Open gives the file that path names.
func (f *face) Open(ctx context.Context, path string) (api.File, error) {
	file, err := f.n.Get(ctx, path)
	if err != nil {
		return nil, err // a nil *dag.File must not become an api.File
	}
	return file, nil
}

// Health asks the holders of everything under path.
func (f *face) Health(ctx context.Context, path string, detail bool) (blocks.Health, error) {
	return f.n.Health(ctx, path, detail)
}

// ID says who the peer is and how it is doing.
func (f *face) ID() api.ID {
	s := f.n.Status()
	return api.ID{
		ID: s.ID.String(), Agent: s.Agent, Version: node.Version, Network: s.Network, Profile: s.Profile, State: s.State,
		Addresses: s.Addrs, Reachable: s.Reach, Gateway: f.gateway, API: f.api, Peers: s.Connected, Blocks: s.Held, Started: s.Started,
	}
}

// Peers gives the peers that the peer is connected to.
func (f *face) Peers() []api.Peer {
	infos := f.n.Peers()
	out := make([]api.Peer, len(infos))
	for i, p := range infos {
		out[i] = api.Peer{ID: p.ID.String(), Addresses: p.Addrs, Agent: p.Agent, Member: p.Member, Suspect: p.Suspect, Latency: blocks.Seconds(p.Latency)}
	}
	return out
}

// Updates yields announcements as they are heard.
func (f *face) Updates(ctx context.Context) iter.Seq2[api.Update, error] {
	heard := f.n.Updates(ctx) // listens from now on, not from the first turn
	return func(yield func(api.Update, error) bool) {
		for u, err := range heard {
			if !yield(api.Update{From: u.From.String(), Seq: u.Seq, Root: u.Root, Name: u.Name, Size: u.Size, Time: u.Time}, err) {
				return
			}
		}
	}
}

// Where says what those answered who should have a block.
func (f *face) Where(ctx context.Context, path string) (blocks.Where, error) {
	return f.n.Where(ctx, path)
}

// Why says why something is short of copies, or cannot be read.
func (f *face) Why(ctx context.Context, path string) (blocks.Why, error) { return f.n.Why(ctx, path) }

// Restore gives missing copies now.
func (f *face) Restore(ctx context.Context, path string, tell func(blocks.Done)) (blocks.Restored, error) {
	return f.n.Restore(ctx, path, tell)
}
