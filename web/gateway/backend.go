package gateway

import (
	"context"
	"errors"

	"github.com/ipfs/boxo/blockservice"
	boxo "github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/namesys"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/boxo/path/resolver"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/ipld/go-ipld-prime/schema"
)

// backend is what boxo's handler asks for content.
type backend struct {
	*boxo.BlocksBackend
	bs     blockservice.BlockService
	nodes  nodes
	memory *memory
	denied func(path string) bool
}

func newBackend(bs blockservice.BlockService, cfg Config) backend {
	bs = source(bs, cfg.Denied)
	var names namesys.NameSystem = noNames{}
	if cfg.Names != nil {
		names = named{cfg.Names}
	}
	b, err := boxo.NewBlocksBackend(bs, boxo.WithNameSystem(names), boxo.WithValueStore(cfg.Records))
	if err != nil {
		panic(err) // only its options could fail, and ours do not
	}
	return backend{b, bs, nodes{merkledag.NewDAGService(bs)}, newMemory(cfg.Memory), cfg.DeniedPath}
}

// ResolvePath is boxo's, but for a block that cannot be had: boxo takes that for a
// name that is not there.
func (b backend) ResolvePath(ctx context.Context, p path.ImmutablePath) (boxo.ContentPathMetadata, error) {
	if b.denied(p.String()) {
		return boxo.ContentPathMetadata{}, requestOf(ctx).fail(blocked(p.String()))
	}
	md, err := b.BlocksBackend.ResolvePath(ctx, p)
	if f := requestOf(ctx).failure(); err != nil && f != nil {
		err = f.asError()
	}
	return md, err
}

// nowhere reports whether err says that a path leads nowhere, which the blocks on it prove.
func nowhere(err error) bool {
	if _, ok := errors.AsType[datamodel.ErrWrongKind](err); ok {
		return true
	}
	if _, ok := errors.AsType[datamodel.ErrNotExists](err); ok {
		return true
	}
	return errors.Is(err, &resolver.ErrNoLink{}) || errors.Is(err, schema.ErrNoSuchField{})
}
