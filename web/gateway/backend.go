package gateway

import (
	"github.com/ipfs/boxo/blockservice"
	boxo "github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/namesys"
)

// backend is what boxo's handler asks for content.
type backend struct {
	*boxo.BlocksBackend
	bs blockservice.BlockService
}

func newBackend(bs blockservice.BlockService, cfg Config) backend {
	bs = source(bs, cfg.Denied)
	var names namesys.NameSystem = noNames{}
	if cfg.Names != nil {
		names = cfg.Names
	}
	b, err := boxo.NewBlocksBackend(bs, boxo.WithNameSystem(names), boxo.WithValueStore(cfg.Records))
	if err != nil {
		panic(err) // only its options could fail, and ours do not
	}
	return backend{b, bs}
}
