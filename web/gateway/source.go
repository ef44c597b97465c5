package gateway

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/exchange"
	"github.com/ipfs/boxo/verifcid"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

// source gives bs as requests may read it: with what is denied left out, what was
// read counted, and nothing looked for when only what is here was asked for. All
// forms of an answer are made of what comes from here.
func source(bs blockservice.BlockService, denied func(cid.Cid) bool) blockservice.BlockService {
	// A CID that holds its data, as the one clients probe with, needs no store and no peer.
	s := shelf{blockstore.NewIdStore(bs.Blockstore()), denied}
	return blockservice.New(s, network{bs.Exchange(), denied}, blockservice.WithAllowlist(anyDigest{}))
}

// anyDigest leaves it to shelf and searching to refuse CIDs that prove nothing: they know for whom.
type anyDigest struct{}

func (anyDigest) IsAllowed(uint64) bool    { return true }
func (anyDigest) MinDigestSize(uint64) int { return 0 }
func (anyDigest) MaxDigestSize(uint64) int { return math.MaxInt }

// fit says why c is not asked for: what would come could be any bytes, or stands in c and
// is too long for that.
func fit(ctx context.Context, c cid.Cid) error {
	err := verifcid.ValidateCid(verifcid.DefaultAllowlist, c)
	if err == nil {
		return nil
	}
	text := c.String()
	if len(text) > 100 {
		text = text[:100] + "…"
	}
	return requestOf(ctx).fail(&failure{status: http.StatusBadRequest, why: "a CID that proves nothing: " + text + ": " + err.Error(), asked: -1})
}

// refuse says that c must not be given out.
func refuse(ctx context.Context, c cid.Cid) error { return requestOf(ctx).fail(blocked(c.String())) }

// blocked is why what is denied is not given out.
func blocked(what string) *failure {
	return &failure{status: http.StatusGone, why: fmt.Sprintf("%s is blocked and cannot be provided", what), asked: -1}
}

// shelf is what is here.
type shelf struct {
	blockstore.Blockstore
	denied func(cid.Cid) bool
}

func (s shelf) Get(ctx context.Context, c cid.Cid) (block.Block, error) {
	if s.denied(c) {
		return nil, refuse(ctx, c)
	}
	if err := fit(ctx, c); err != nil {
		return nil, err
	}
	r := requestOf(ctx)
	if err := r.take(); err != nil {
		return nil, err
	}
	b, err := s.Blockstore.Get(ctx, c)
	if err == nil {
		err = sane(r, b)
	}
	if err != nil {
		return nil, err
	}
	r.read(c)
	return b, nil
}

// network is where the rest is looked for.
type network struct {
	exchange.Interface
	denied func(cid.Cid) bool
}

var _ exchange.SessionExchange = network{}

func (n network) GetBlock(ctx context.Context, c cid.Cid) (block.Block, error) {
	return searching{n.Interface, n.denied}.GetBlock(ctx, c)
}

func (n network) GetBlocks(ctx context.Context, cs []cid.Cid) (<-chan block.Block, error) {
	return searching{n.Interface, n.denied}.GetBlocks(ctx, cs)
}

// NewSession is exchange.SessionExchange's.
func (n network) NewSession(ctx context.Context) exchange.Fetcher {
	if s, ok := n.Interface.(exchange.SessionExchange); ok {
		return searching{s.NewSession(ctx), n.denied}
	}
	return searching{n.Interface, n.denied}
}

// searching is a search in the network.
type searching struct {
	in     exchange.Fetcher
	denied func(cid.Cid) bool
}

func (s searching) GetBlock(ctx context.Context, c cid.Cid) (block.Block, error) {
	if s.denied(c) {
		return nil, refuse(ctx, c)
	}
	if err := fit(ctx, c); err != nil {
		return nil, err
	}
	r := requestOf(ctx)
	if f := r.over(); f != nil {
		return nil, f
	}
	r.seek(c)
	if r.local {
		err := blocks.NotFound(c)
		r.missed(c, err)
		return nil, err
	}
	b, err := s.in.GetBlock(ctx, c)
	if err == nil {
		err = sane(r, b)
	}
	if err != nil {
		if ctx.Err() == nil && blocks.IsNotFound(err) {
			r.missed(c, err)
		}
		return nil, err
	}
	r.read(c)
	return b, nil
}

func (s searching) GetBlocks(ctx context.Context, cs []cid.Cid) (<-chan block.Block, error) {
	r := requestOf(ctx)
	cs = slices.DeleteFunc(slices.Clone(cs), func(c cid.Cid) bool {
		if s.denied(c) {
			_ = refuse(ctx, c)
			return true
		}
		return fit(ctx, c) != nil
	})
	if r.local {
		for _, c := range cs {
			r.missed(c, blocks.NotFound(c))
		}
		cs = nil
	}
	if len(cs) == 0 || r.over() != nil { // boxo looks here for what was refused on the shelf
		none := make(chan block.Block)
		close(none)
		return none, nil
	}
	r.seek(cs[0])
	return s.in.GetBlocks(ctx, cs)
}
