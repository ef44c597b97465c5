package main

import (
	"context"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

// lab is the line of a peer of a testnet, as the API sees it.
type lab struct{ n *node.Node }

// labOf is n's, or nil where n is in no testnet.
func labOf(n *node.Node) api.Lab {
	if n.Line() == nil {
		return nil
	}
	return &lab{n}
}

// Link says how the line is.
func (l *lab) Link() api.Link {
	s := l.n.Line().Shape()
	in, out := l.n.Line().Traffic()
	return api.Link{Latency: blocks.Seconds(s.Latency), Jitter: blocks.Seconds(s.Jitter), Rate: s.Rate, Received: in, Sent: out}
}

// SetLink gives the line another shape.
func (l *lab) SetLink(to api.Link) error {
	s := l.n.Line().Shape()
	s.Latency, s.Jitter, s.Rate = time.Duration(to.Latency), time.Duration(to.Jitter), to.Rate
	return l.n.Line().Set(s)
}

// Flow sends bytes to a connected peer over one bare stream.
func (l *lab) Flow(ctx context.Context, to string, bytes int64) (time.Duration, error) {
	return l.n.Flow(ctx, to, bytes)
}

// Kept says which of cs are on the disk and held.
func (l *lab) Kept(ctx context.Context, cs []cid.Cid) ([]bool, error) { return l.n.Kept(ctx, cs) }

// Lose deletes blocks without a word.
func (l *lab) Lose(ctx context.Context, cs []cid.Cid) error { return l.n.Lose(ctx, cs) }
