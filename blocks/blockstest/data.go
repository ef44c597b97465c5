package blockstest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// Random gives n bytes that are the same for the same seed.
func Random(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(data) // never fails
	return data
}

// Size is a size of a file worth trying, and why.
type Size struct {
	N   int
	Why string
}

// Sizes lists the sizes at which a file cut into chunks of chunk bytes, hung
// under parents of width links, changes its shape.
func Sizes(chunk, width int) []Size {
	full := chunk * width
	return []Size{
		{0, "empty file: one leaf without bytes"},
		{1, "smallest leaf"},
		{chunk - 1, "leaf one short of full"},
		{chunk, "one full leaf, no parent"},
		{chunk + 1, "first parent, a leaf of one byte"},
		{2 * chunk, "two full leaves"},
		{full - 1, "last leaf of a full parent one short"},
		{full, "one full parent"},
		{full + 1, "first grandparent, a branch of one byte"},
		{full + chunk, "second parent with one full leaf"},
		{full*width + 1, "three levels of parents"},
	}
}

// Nodes is g as the node getter that readers of whole files take.
func Nodes(g blocks.Getter) ipld.NodeGetter { return nodes{g} }

type nodes struct{ g blocks.Getter }

func (n nodes) Get(ctx context.Context, c cid.Cid) (ipld.Node, error) {
	b, err := n.g.Get(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.Prefix().Codec == cid.Raw {
		return merkledag.DecodeRawBlock(b)
	}
	return merkledag.DecodeProtobufBlock(b)
}

func (n nodes) GetMany(ctx context.Context, cs []cid.Cid) <-chan *ipld.NodeOption {
	out := make(chan *ipld.NodeOption, len(cs)) // room for all: nobody waits
	defer close(out)
	for _, c := range cs {
		nd, err := n.Get(ctx, c)
		out <- &ipld.NodeOption{Node: nd, Err: err}
	}
	return out
}
