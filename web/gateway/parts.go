package gateway

import (
	"errors"
	"fmt"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

var errSizes = errors.New("the sizes of its parts are not those of a file")

// parts are the links of b that belong to the entity b is a part of: a directory
// with its shards, a file or a span of one. What is no UnixFS has no parts.
func (w *walk) parts(s step, b block.Block) ([]step, error) {
	n, err := merkledag.DecodeProtobuf(b.RawData())
	if err != nil {
		return nil, err
	}
	f, err := unixfs.FSNodeFromBytes(n.Data())
	if err != nil {
		if s.as == entity {
			return nil, nil
		}
		return nil, err
	}
	switch {
	case f.Type() == unixfs.THAMTShard && s.as != file:
		return shards(n, f)
	case f.Type() == unixfs.TFile && s.as == entity:
		if s.from, s.to = w.bytes(int64(f.FileSize())); s.from >= s.to && f.FileSize() > 0 {
			return nil, nil
		}
		return fileParts(s, n, f)
	case (f.Type() == unixfs.TFile || f.Type() == unixfs.TRaw) && s.as == file:
		return fileParts(s, n, f)
	}
	return nil, nil
}

// bytes is the span that was asked for of a file of that size.
func (w *walk) bytes(size int64) (from, to int64) {
	if w.span == nil {
		return 0, whole
	}
	if from = w.span.From; from < 0 {
		from = max(0, size+from)
	}
	switch end := w.span.To; {
	case end == nil:
		to = whole
	case *end < 0:
		to = size + *end + 1
	default:
		to = *end + 1
	}
	return from, to
}

// shards are the links of a shard that lead to shards: their names are a prefix and nothing more.
func shards(n *merkledag.ProtoNode, f *unixfs.FSNode) ([]step, error) {
	if why := shardLie(f, len(n.Links())); why != "" {
		return nil, errors.New(why)
	}
	prefix := len(fmt.Sprintf("%X", f.Fanout()-1))
	var out []step
	for _, l := range n.Links() {
		if len(l.Name) < prefix {
			return nil, fmt.Errorf("a link %q in a shard", l.Name)
		}
		if len(l.Name) == prefix {
			out = append(out, step{c: l.Cid, to: whole, as: shard})
		}
	}
	return out, nil
}

// fileParts are the parts of a file, or of a part of one, that hold bytes of the span.
func fileParts(s step, n *merkledag.ProtoNode, f *unixfs.FSNode) ([]step, error) {
	sizes := f.BlockSizes()
	if len(sizes) != len(n.Links()) {
		return nil, errSizes
	}
	var out []step
	at := int64(len(f.Data()))
	for i, l := range n.Links() {
		if sizes[i] > uint64(whole-at) {
			return nil, errSizes
		}
		size := int64(sizes[i])
		from, to := s.from-at, s.to-at
		at += size
		if (from >= size || to <= 0) && (s.from > 0 || s.to < whole) {
			continue
		}
		from = max(0, from)
		if to >= size {
			to = whole
		}
		if l.Cid.Type() == cid.Raw {
			from, to = 0, whole
		}
		out = append(out, step{c: l.Cid, from: from, to: to, as: file})
	}
	return out, nil
}
