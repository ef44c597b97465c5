package main

import (
	"context"
	"net/http"

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
