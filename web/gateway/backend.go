package gateway

import (
	"context"
	"errors"
	"strings"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/files"
	boxo "github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/namesys"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/boxo/path/resolver"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/ipld/go-ipld-prime/schema"
)

// backend is what boxo's handler asks for content.
type backend struct {
	*boxo.BlocksBackend
	bs     blockservice.BlockService
	nodes  nodes
	memory *memory
	denied func(path string) bool // by its path
	banned func(cid.Cid) bool     // by what it is
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
	return backend{b, bs, nodes{merkledag.NewDAGService(bs)}, newMemory(cfg.Memory), cfg.DeniedPath, cfg.Denied}
}

// ResolvePath is boxo's, but for a block that cannot be had: boxo takes that for a
// name that is not there. What is denied is refused here, before its last block is
// read: boxo answers some requests from what a path leads to alone.
func (b backend) ResolvePath(ctx context.Context, p path.ImmutablePath) (boxo.ContentPathMetadata, error) {
	if f := b.refused(ctx, p); f != nil {
		return boxo.ContentPathMetadata{}, f.asError()
	}
	md, err := b.BlocksBackend.ResolvePath(ctx, p)
	if f := requestOf(ctx).failure(); err != nil && f != nil {
		err = f.asError()
	}
	if err == nil && b.banned(md.LastSegment.RootCid()) {
		f := blocked(md.LastSegment.RootCid().String())
		_ = requestOf(ctx).fail(f)
		err = f.asError()
	}
	return md, err
}

// refused says whether p is denied by its path. The index of a directory is asked for under
// the CID of that, and is denied as well if it is under the path the directory was asked for by.
func (b backend) refused(ctx context.Context, p path.ImmutablePath) *failure {
	req, at := requestOf(ctx), p.String()
	names := []string{at}
	if first := req.resolve(at); first != at && path.SegmentsToString(p.Segments()[2:]...) == "/index.html" {
		names = append(names, strings.TrimSuffix(first, "/")+"/index.html")
	}
	for _, name := range names {
		if b.denied(name) {
			f := blocked(name)
			_ = req.fail(f)
			return f
		}
	}
	return nil
}

// GetBlock is boxo's, but for what is denied by its path alone, and with room in the memory.
func (b backend) GetBlock(ctx context.Context, p path.ImmutablePath) (boxo.ContentPathMetadata, files.File, error) {
	if f := b.refused(ctx, p); f != nil {
		return boxo.ContentPathMetadata{}, nil, f.asError()
	}
	md, f, err := b.BlocksBackend.GetBlock(ctx, p)
	data, ok := f.(*files.ReaderFile)
	if err != nil || !ok {
		return md, f, err
	}
	size, err := data.Size()
	if err != nil {
		return md, nil, err
	}
	one, err := b.inHand(ctx, data, int(size))
	if err != nil {
		return md, nil, err
	}
	return md, one, nil
}

// IsCached reports whether what p leads to is here, and not denied.
func (b backend) IsCached(ctx context.Context, p path.Path) bool {
	to, err := path.NewImmutablePath(p)
	if p.Mutable() {
		to, _, _, err = b.ResolveMutable(ctx, p)
	}
	if err != nil {
		return false
	}
	md, err := b.ResolvePath(ctx, to)
	if err != nil {
		return false
	}
	has, err := b.bs.Blockstore().Has(ctx, md.LastSegment.RootCid())
	return has && err == nil
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
