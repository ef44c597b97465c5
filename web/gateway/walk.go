package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"net/http"
	"slices"

	"github.com/ipfs/boxo/blockservice"
	boxo "github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/ipld/merkledag"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/codec/dagjson"
	"github.com/ipld/go-ipld-prime/datamodel"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	"github.com/ipld/go-ipld-prime/node/basicnode"
	"github.com/ipld/go-ipld-prime/traversal"
	mh "github.com/multiformats/go-multihash"
)

// The limits of a walk below a root that a stranger made.
const (
	maxDepth   = 1 << 17  // links from the root down
	maxPending = 1 << 19  // blocks that are known of and not yet read
	maxRepeat  = 64 << 20 // bytes that may always be sent again where repeats are asked for
	repeatOf   = 4        // and what may be sent then, in what is sent at all
)

// walk goes through the blocks below a root, depth first, each with its links in
// their order.
type walk struct {
	get     blockservice.BlockGetter
	scope   boxo.DagScope
	span    *boxo.DagByteRange // of a file; nil is all of it
	dups    bool
	inBlock bool // the path ends inside the root block: nothing below is part of it

	todo []step // the next one last
	seen map[[16]byte]mark
	once int64 // bytes, each block counted once
	sent int64 // bytes
}

// mark is what was done with a block.
type mark uint8

const (
	yielded mark = 1 << iota
	followed
)

// step is a block to come.
type step struct {
	c     cid.Cid
	depth int
	from  int64 // of the file below it, the bytes that are wanted: from 0 to less than to
	to    int64
	as    shape
}

// shape is what a block is taken for.
type shape uint8

const (
	all    shape = iota // follow every link
	entity              // the root of an entity: what it is decides
	file                // a part of a file
	shard               // a part of a directory
)

// whole is the end of a span that has none.
const whole = int64(1) << 62

func newWalk(get blockservice.BlockGetter, params boxo.CarParams, inBlock bool) *walk {
	return &walk{
		get: get, scope: params.Scope, span: params.Range, dups: params.Duplicates.Bool(), inBlock: inBlock,
		seen: make(map[[16]byte]mark),
	}
}

func keyOf(c cid.Cid) [16]byte {
	sum := sha256.Sum256(c.Bytes())
	return [16]byte(sum[:16])
}

func isIdentity(c cid.Cid) bool { return c.Prefix().MhType == mh.IDENTITY }

// from walks from root. After an error it yields nothing more.
func (w *walk) from(ctx context.Context, root cid.Cid) iter.Seq2[block.Block, error] {
	return func(yield func(block.Block, error) bool) {
		first := step{c: root, to: whole, as: all}
		if w.scope == boxo.DagScopeEntity {
			first.as = entity
		}
		w.todo = append(w.todo, first)
		for len(w.todo) > 0 {
			s := w.todo[len(w.todo)-1]
			w.todo = w.todo[:len(w.todo)-1]
			key := keyOf(s.c)
			done := w.seen[key]
			part := s.from > 0 || s.to < whole
			leaf := s.c.Type() == cid.Raw
			if !w.dups && done&yielded != 0 && (leaf || !part && done&followed != 0) {
				continue
			}
			b, err := w.get.GetBlock(ctx, s.c)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, fmt.Errorf("gateway: walk: %s: %w", s.c, err))
				return
			}
			if !isIdentity(s.c) && (w.dups || done&yielded == 0) {
				if err := w.count(ctx, b, done); err != nil {
					yield(nil, err)
					return
				}
				if !yield(b, nil) {
					return
				}
			}
			done |= yielded
			if !part {
				done |= followed
			}
			w.seen[key] = done
			if err := w.follow(ctx, s, b); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// count adds b to what is sent, or says that too much of it was sent before.
func (w *walk) count(ctx context.Context, b block.Block, done mark) error {
	n := int64(len(b.RawData()))
	w.sent += n
	if done&yielded == 0 {
		w.once += n
	}
	if w.sent > max(maxRepeat, repeatOf*w.once) {
		return requestOf(ctx).fail(&failure{status: http.StatusUnprocessableEntity, asked: -1,
			why: "most of this are repeats: ask for it with dups=n"})
	}
	return nil
}

// follow puts what is below b, and part of what was asked for, on the list.
func (w *walk) follow(ctx context.Context, s step, b block.Block) error {
	if w.scope == boxo.DagScopeBlock || s.c.Type() == cid.Raw {
		return nil
	}
	if s.depth >= maxDepth {
		return tooMuch(ctx, fmt.Sprintf("deeper than %d blocks", maxDepth))
	}
	var steps []step
	var err error
	if s.as == all {
		steps, err = links(b)
	} else if s.c.Type() == cid.DagProtobuf && !w.inBlock {
		steps, err = w.parts(s, b)
	}
	if err != nil {
		return requestOf(ctx).fail(&failure{status: http.StatusUnprocessableEntity, asked: -1,
			why: fmt.Sprintf("%s cannot be read: %s", s.c, err)})
	}
	if len(w.todo)+len(steps) > maxPending {
		return tooMuch(ctx, fmt.Sprintf("more than %d blocks side by side", maxPending))
	}
	for _, next := range slices.Backward(steps) {
		next.depth = s.depth + 1
		w.todo = append(w.todo, next)
	}
	return nil
}

func tooMuch(ctx context.Context, what string) error {
	return requestOf(ctx).fail(&failure{status: http.StatusUnprocessableEntity, why: what + " below one root", asked: -1})
}

// links are all links of b.
func links(b block.Block) ([]step, error) {
	var out []step
	switch codec := b.Cid().Type(); codec {
	case cid.DagProtobuf:
		n, err := merkledag.DecodeProtobuf(b.RawData())
		if err != nil {
			return nil, err
		}
		for _, l := range n.Links() {
			out = append(out, step{c: l.Cid, to: whole})
		}
	case cid.DagCBOR, cid.DagJSON:
		decode := dagcbor.Decode
		if codec == cid.DagJSON {
			decode = dagjson.Decode
		}
		nb := basicnode.Prototype.Any.NewBuilder()
		if err := decode(nb, bytes.NewReader(b.RawData())); err != nil {
			return nil, err
		}
		var found []datamodel.Link
		found, err := traversal.SelectLinks(nb.Build())
		if err != nil {
			return nil, err
		}
		for _, l := range found {
			if l, ok := l.(cidlink.Link); ok {
				out = append(out, step{c: l.Cid, to: whole})
			}
		}
	case cidCBOR, cidJSON: // without links
	default:
		return nil, fmt.Errorf("codec %#x", codec)
	}
	return out, nil
}

// Codecs that go-cid has no name for.
const (
	cidCBOR = 0x51
	cidJSON = 0x0200
)
