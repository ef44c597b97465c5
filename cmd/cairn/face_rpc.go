package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/rpc"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/go-cid"
)

var _ rpc.Node = (*face)(nil)

// Resolve gives the CID that path names.
func (f *face) Resolve(ctx context.Context, path string) (cid.Cid, error) {
	return f.n.Resolve(ctx, path)
}

// BlockService reads blocks from here and from their holders.
func (f *face) BlockService() blockservice.BlockService { return f.n.BlockService() }

// mounts are what programs written for Kubo find at the API; none if cfg says so.
func mounts(s *rpc.Server, cfg node.APIConfig) []api.Mount {
	if !cfg.Kubo {
		return nil
	}
	return []api.Mount{
		{
			Prefix: rpc.Prefix, Serve: s.RPC(), Open: cfg.KuboOpen,
			Fail: func(w http.ResponseWriter, status int, _, detail string) { rpc.Fail(w, status, detail) },
		},
		{
			Prefix: rpc.PSAPrefix, Serve: s.PSA(),
			Fail: func(w http.ResponseWriter, status int, _, detail string) { rpc.FailPSA(w, status, detail) },
		},
	}
}

var (
	_ rpc.Importer = (*face)(nil)
	_ rpc.Namer    = (*face)(nil)
	_ rpc.Topics   = (*face)(nil)
	_ rpc.Router   = (*face)(nil)
)

// Say publishes data on a topic of an application.
func (f *face) Say(ctx context.Context, topic string, data []byte) error {
	return f.n.Say(ctx, topic, data)
}

// Hear yields what is said on a topic of an application.
func (f *face) Hear(ctx context.Context, topic string) (iter.Seq2[rpc.Message, error], error) {
	heard, err := f.n.Hear(ctx, topic)
	if err != nil {
		return nil, err
	}
	return func(yield func(rpc.Message, error) bool) {
		for m, err := range heard {
			if !yield(rpc.Message{From: m.From.String(), Seq: m.Seq, Data: m.Data, Topics: []string{m.Topic}}, err) {
				return
			}
		}
	}, nil
}

// Heard are the topics that are listened to here.
func (f *face) Heard() []string { return f.n.Heard() }

// Listeners are the connected peers that listen to topic; "" is any.
func (f *face) Listeners(topic string) (ids []string) {
	for _, p := range f.n.Listeners(topic) {
		ids = append(ids, p.String())
	}
	return ids
}

// Import keeps the blocks of a CAR, and places its roots if they are pinned.
func (f *face) Import(ctx context.Context, r io.Reader, pin bool) (roots []cid.Cid, count, size int64, err error) {
	out, err := f.n.ImportCAR(ctx, r, blocks.ImportOptions{NoPin: !pin}, nil)
	for _, rc := range out.Roots {
		roots = append(roots, rc.Root)
	}
	return roots, int64(out.Blocks), out.Bytes, queued(err)
}

// KeepBlock keeps one block, and places it if it is pinned.
func (f *face) KeepBlock(ctx context.Context, b blocks.Block, pin bool) error {
	_, err := f.n.PutBlock(ctx, b, blocks.ImportOptions{NoPin: !pin}, nil)
	return queued(err)
}

// queued takes what is kept here, with fewer copies than were waited for, as kept: more are made.
func queued(err error) error {
	var short *blocks.ShortError
	if errors.As(err, &short) {
		return nil
	}
	return err
}

// Provide leaves a record that this peer has c.
func (f *face) Provide(ctx context.Context, c cid.Cid) error { return f.n.Provide(ctx, c) }

// Value gives the record of a name, whose key is /ipns/NAME.
func (f *face) Value(ctx context.Context, key string) ([]byte, error) { return f.n.NameValue(ctx, key) }

// PutValue keeps and spreads the record of a name.
func (f *face) PutValue(ctx context.Context, key string, value []byte) error {
	return f.n.PutNameValue(ctx, key, value)
}

// Disconnect ends the connections to a peer.
func (f *face) Disconnect(ctx context.Context, addr string) (string, error) {
	id, err := f.n.Disconnect(ctx, addr)
	return id.String(), err
}
