package dag

import (
	"bytes"
	"io"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
)

// maxAhead is how many chunks are in hand at most, however many threads there are.
const maxAhead = 16

// ahead stands between a file and the importer, which hashes one leaf after the
// other. It reads a few chunks ahead and has their leaves hashed meanwhile:
//
//	file → chunks → leaves, hashed on goroutines → the importer, in the order of the file
//
// The importer gets a [cid.Builder] that hands out what was computed already. The
// file is read by the importer's own goroutine; each leaf has one of its own, which ends by
// itself once the leaf is hashed, and close waits for them.
type ahead struct {
	src   chunk.Splitter
	plain cid.Builder // hashes
	dagpb bool        // leaves are
	room  int         // leaves in hand at most

	queue []*leaf // read, not given to the importer yet
	given []*leaf // given, their CIDs not asked for yet
	err   error   // of src, after what is in queue
	busy  sync.WaitGroup
}

// leaf is a chunk that is hashed, or will be.
type leaf struct {
	chunk []byte
	done  chan struct{} // closed when the rest is written
	block []byte
	cid   cid.Cid // Undef: it could not be hashed, and the importer will see why
}

var _ chunk.Splitter = (*ahead)(nil)

// newAhead reads chunks of l from r for hands threads.
func newAhead(r io.Reader, l Layout, hands int) *ahead {
	return &ahead{
		src: chunk.NewSizeSplitter(r, l.ChunkSize), plain: l.cidBuilder(),
		dagpb: l.leaves() == blocks.LeavesDagPB, room: min(2*hands, maxAhead),
	}
}

// builder is what the importer gets its CIDs from.
func (a *ahead) builder() cid.Builder { return digests{a, a.plain, a.dagpb} }

// Reader is chunk.Splitter's.
func (a *ahead) Reader() io.Reader { return a.src.Reader() }

// NextBytes gives the next chunk, when as many as there is room for are being hashed.
func (a *ahead) NextBytes() ([]byte, error) {
	for a.err == nil && len(a.queue) < a.room {
		data, err := a.src.NextBytes()
		if err != nil || data == nil { // no chunk is without bytes
			a.err = err
			if err == nil {
				a.err = io.EOF
			}
			break
		}
		f := &leaf{chunk: data, done: make(chan struct{})}
		a.queue = append(a.queue, f)
		a.busy.Go(func() { // ends by itself; close waits
			defer close(f.done)
			a.hash(f)
		})
	}
	if len(a.queue) == 0 {
		return nil, a.err
	}
	f := a.queue[0]
	a.queue[0] = nil
	a.queue = a.queue[1:]
	if len(a.given) > 1 {
		a.given = a.given[1:] // nobody asked
	}
	a.given = append(a.given, f)
	return f.chunk, nil
}

// close waits for what is being hashed.
func (a *ahead) close() { a.busy.Wait() }

// hash makes the leaf of f as the importer will.
func (a *ahead) hash(f *leaf) {
	builder := a.plain
	f.block = f.chunk
	if a.dagpb {
		var err error
		if f.block, err = envelope(f.chunk); err != nil {
			return
		}
	} else {
		builder = builder.WithCodec(cid.Raw)
	}
	if c, err := builder.Sum(f.block); err == nil {
		f.cid = c
	}
}

// envelope is the dag-pb leaf that holds data.
func envelope(data []byte) ([]byte, error) {
	n := unixfs.NewFSNode(unixfs.TFile)
	n.SetData(data)
	inner, err := n.GetBytes()
	if err != nil {
		return nil, err
	}
	return merkledag.NodeWithData(inner).Marshal()
}

// sum is the CID of the block data, if it is the leaf whose turn it is. Leaves are
// asked for in the order in which they were given.
func (a *ahead) sum(data []byte) (cid.Cid, bool) {
	if len(a.given) == 0 {
		return cid.Undef, false
	}
	f := a.given[0]
	<-f.done // it needs nothing but a thread
	if !f.cid.Defined() || !same(data, f.block) {
		return cid.Undef, false
	}
	a.given = a.given[1:]
	return f.cid, true
}

// same reports whether a and b are equal, at once when they are one.
func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || bytes.Equal(a, b))
}

// digests is a [cid.Builder] that knows the CIDs of leaves.
type digests struct {
	a      *ahead
	plain  cid.Builder
	leaves bool // it is asked for the CIDs of leaves, among others
}

func (d digests) Sum(data []byte) (cid.Cid, error) {
	if d.leaves {
		if c, ok := d.a.sum(data); ok {
			return c, nil
		}
	}
	return d.plain.Sum(data)
}

func (d digests) GetCodec() uint64 { return d.plain.GetCodec() }

func (d digests) WithCodec(codec uint64) cid.Builder {
	leaves := uint64(cid.Raw)
	if d.a.dagpb {
		leaves = cid.DagProtobuf
	}
	return digests{d.a, d.plain.WithCodec(codec), codec == leaves}
}
