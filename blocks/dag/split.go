package dag

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	"github.com/ipfs/boxo/ipld/unixfs/importer/trickle"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// errStopped ends the importer when the caller of Split wants no more.
var errStopped = errors.New("dag: the caller wants no more")

// Split yields the blocks of the file that r reads, children before parents and
// the root last. Leaves are hashed on as many threads as there are, a few ahead: it
// reads r no further than two chunks a thread, 16 at most, past what it yielded, and
// never from another goroutine. After an error it yields nothing more; a block larger
// than [blocks.MaxSize] is one. Equal chunks are yielded as often as the file has them.
func Split(r io.Reader, l Layout) iter.Seq2[blocks.Block, error] {
	return split(r, l, runtime.GOMAXPROCS(0))
}

// split is Split on hands threads.
func split(r io.Reader, l Layout, hands int) iter.Seq2[blocks.Block, error] {
	l = l.withDefaults()
	return func(yield func(blocks.Block, error) bool) {
		if l.ChunkSize < 1 || l.ChunkSize > blocks.MaxSize || l.MaxLinks < 2 {
			yield(blocks.Block{}, fmt.Errorf("dag: split: chunks of %d bytes, %d links: out of range", l.ChunkSize, l.MaxLinks))
			return
		}
		p := helpers.DagBuilderParams{
			Dagserv:    sink(yield),
			RawLeaves:  l.leaves() == blocks.LeavesRaw,
			Maxlinks:   l.MaxLinks,
			CidBuilder: l.cidBuilder(),
		}
		chunks := chunk.NewSizeSplitter(whole{r}, l.ChunkSize)
		var err error
		switch {
		case l.Chunker != "":
			chunks, err = byContent(whole{r}, l.Chunker)
		case hands > 1 && !l.Trickle:
			a := newAhead(whole{r}, l, hands)
			defer a.close()
			chunks, p.CidBuilder = a, a.builder()
		}
		hang := balanced.Layout
		if l.Trickle {
			hang = trickle.Layout
		}
		var h *helpers.DagBuilderHelper
		if err == nil {
			h, err = p.New(chunks)
		}
		if err == nil {
			_, err = hang(h)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(blocks.Block{}, fmt.Errorf("dag: split: %w", err))
		}
	}
}

// errCutShort is the end of a reader that broke off. The splitter takes
// io.ErrUnexpectedEOF for the end of the file, and an upload that was cut short
// would become a file.
var errCutShort = errors.New("input ended too early")

type whole struct{ r io.Reader }

func (w whole) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutShort
	}
	return n, err
}

// sink is the importer's DAGService: it hands each node straight on.
type sink func(blocks.Block, error) bool

func (s sink) Add(_ context.Context, n ipld.Node) error {
	data := n.RawData()
	if len(data) > blocks.MaxSize {
		return fmt.Errorf("block of %d bytes, limit %d", len(data), blocks.MaxSize)
	}
	if !s(blocks.Hashed(n.Cid(), data), nil) {
		return errStopped
	}
	return nil
}

func (s sink) AddMany(ctx context.Context, ns []ipld.Node) error {
	for _, n := range ns {
		if err := s.Add(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (sink) Get(_ context.Context, c cid.Cid) (ipld.Node, error)        { return nil, blocks.NotFound(c) }
func (sink) GetMany(context.Context, []cid.Cid) <-chan *ipld.NodeOption { return nil }
func (sink) Remove(context.Context, cid.Cid) error                      { return nil }
func (sink) RemoveMany(context.Context, []cid.Cid) error                { return nil }
