package gateway

import (
	"fmt"
	"math/bits"
	"net/http"

	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// maxFanout is the widest shard of a directory that is read: what others write is 256.
const maxFanout = 1024

// sane refuses a shard of a directory that lies about its shape, and a block of so many
// values that it is expensive to decode, before anything is computed from it.
func sane(r *request, b block.Block) error {
	if !r.raw && dag.Values(b.Cid().Type(), b.RawData()) > dag.MaxValues {
		return r.fail(&failure{status: http.StatusUnprocessableEntity, why: fmt.Sprintf("%s has more than %d values: it is given as it is, with ?format=raw, and not decoded", b.Cid(), dag.MaxValues), asked: -1})
	}
	if b.Cid().Type() != cid.DagProtobuf {
		return nil
	}
	n, err := merkledag.DecodeProtobuf(b.RawData())
	if err != nil {
		return nil // whoever wants to read it will say so
	}
	f, err := unixfs.FSNodeFromBytes(n.Data())
	if err != nil || f.Type() != unixfs.THAMTShard {
		return nil
	}
	if why := shardLie(f, len(n.Links())); why != "" {
		return r.fail(&failure{status: http.StatusUnprocessableEntity, why: fmt.Sprintf("%s is no directory: %s", b.Cid(), why), asked: -1})
	}
	return nil
}

// shardLie says what is wrong with a shard of that many links, "" if nothing is.
func shardLie(f *unixfs.FSNode, links int) string {
	fanout := f.Fanout()
	if fanout < 8 || fanout > maxFanout || fanout&(fanout-1) != 0 {
		return fmt.Sprintf("a shard of fanout %d", fanout)
	}
	if f.HashType() != mh.MURMUR3X64_64 {
		return fmt.Sprintf("a shard by hash function %#x", f.HashType())
	}
	set, field := 0, f.Data()
	if uint64(len(field)) > fanout/8 {
		return fmt.Sprintf("a shard of fanout %d with a map of %d bits", fanout, 8*len(field))
	}
	for _, x := range field {
		set += bits.OnesCount8(x)
	}
	if set != links {
		return fmt.Sprintf("a shard of %d links whose map has %d", links, set)
	}
	return ""
}
