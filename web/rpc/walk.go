package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/blockservice"
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
	maxDepth   = 1 << 10 // directories within each other
	maxDeep    = 1 << 17 // links from the root down
	maxPending = 1 << 19 // blocks that are known of and not yet read
)

// edge is a link of a block.
type edge struct {
	name  string // in dag-pb
	to    cid.Cid
	depth int
}

// edges are all links of b.
func edges(b block.Block) ([]edge, error) {
	var out []edge
	switch b.Cid().Type() {
	case cid.DagProtobuf:
		n, err := merkledag.DecodeProtobuf(b.RawData())
		if err != nil {
			return nil, err
		}
		for _, l := range n.Links() {
			out = append(out, edge{name: l.Name, to: l.Cid})
		}
	case cid.DagCBOR, cid.DagJSON:
		n, err := decode(b)
		if err != nil {
			return nil, err
		}
		found, err := traversal.SelectLinks(n)
		if err != nil {
			return nil, err
		}
		for _, l := range found {
			if l, ok := l.(cidlink.Link); ok {
				out = append(out, edge{to: l.Cid})
			}
		}
	case cid.Raw, 0x51, 0x0200: // raw, cbor, json: without links
	default:
		return nil, fmt.Errorf("rpc: %s: codec %#x is not read here", b.Cid(), b.Cid().Type())
	}
	return out, nil
}

// decode reads a block of dag-cbor or dag-json.
func decode(b block.Block) (datamodel.Node, error) {
	read := dagcbor.Decode
	if b.Cid().Type() == cid.DagJSON {
		read = dagjson.Decode
	}
	nb := basicnode.Prototype.Any.NewBuilder()
	if err := read(nb, bytes.NewReader(b.RawData())); err != nil {
		return nil, fmt.Errorf("rpc: %s: %w", b.Cid(), err)
	}
	return nb.Build(), nil
}

// block gives the block c, from here or from its holders.
func (s *Server) block(ctx context.Context, c cid.Cid) (block.Block, error) {
	return s.get1(blocks.WithRoot(ctx, c), s.n.BlockService(), c)
}

// get1 gives a block; one whose data stands in its CID is nowhere else.
func (s *Server) get1(ctx context.Context, from blockservice.BlockGetter, c cid.Cid) (block.Block, error) {
	if d, err := mh.Decode(c.Hash()); err == nil && d.Code == mh.IDENTITY {
		return block.NewBlockWithCid(d.Digest, c)
	}
	return from.GetBlock(ctx, c)
}

// links are those of the block c.
func (s *Server) links(ctx context.Context, c cid.Cid) ([]edge, error) {
	if c.Type() == cid.Raw {
		return nil, nil
	}
	b, err := s.block(ctx, c)
	if err != nil {
		return nil, err
	}
	return edges(b)
}

func keyOf(c cid.Cid) [16]byte {
	sum := sha256.Sum256(c.Bytes())
	return [16]byte(sum[:16])
}

// below yields each block under root once, depth first, as it is read. It
// remembers 16 bytes of each. After an error it yields nothing more.
func (s *Server) below(ctx context.Context, root cid.Cid) iter.Seq2[block.Block, error] {
	return func(yield func(block.Block, error) bool) {
		ctx := blocks.WithRoot(ctx, root)
		from := blockservice.NewSession(ctx, s.n.BlockService())
		seen := map[[16]byte]bool{keyOf(root): true}
		for todo := []edge{{to: root}}; len(todo) > 0; {
			at := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			b, err := s.get1(ctx, from, at.to)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(b, nil) {
				return
			}
			next, err := edges(b)
			if err == nil && (at.depth >= maxDeep || len(todo)+len(next) > maxPending) {
				err = fmt.Errorf("rpc: %s has too much below it", root)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range slices.Backward(next) {
				if key := keyOf(e.to); !seen[key] {
					seen[key] = true
					e.depth = at.depth + 1
					todo = append(todo, e)
				}
			}
		}
	}
}
