package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/boxo/files"
	boxo "github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// thing is what a path leads to.
type thing struct {
	boxo.ContentPathMetadata
	node ipld.Node
	fs   *unixfs.FSNode // nil: it is no UnixFS, or raw bytes
}

// at reads what p leads to. other is set if boxo is to answer for it.
func (b backend) at(ctx context.Context, p path.ImmutablePath) (t thing, other bool, err error) {
	if t.ContentPathMetadata, err = b.ResolvePath(ctx, p); err != nil {
		return t, false, err
	}
	c := t.LastSegment.RootCid()
	if codec := c.Type(); codec != cid.DagProtobuf && codec != cid.Raw || len(t.LastSegmentRemainder) > 0 {
		return t, true, nil
	}
	if t.node, err = b.nodes.Get(ctx, c); err != nil {
		if f := requestOf(ctx).failure(); f != nil {
			err = f.asError()
		}
		return t, false, err
	}
	n, ok := t.node.(*merkledag.ProtoNode)
	if !ok {
		return t, false, nil
	}
	if t.fs, err = unixfs.FSNodeFromBytes(n.Data()); err != nil {
		return t, true, nil // boxo says what is wrong with it
	}
	switch t.fs.Type() {
	case unixfs.TFile, unixfs.TRaw, unixfs.TDirectory, unixfs.THAMTShard:
		t.ModTime = t.fs.ModTime()
		return t, false, nil
	}
	return t, true, nil
}

func (t thing) isDir() bool {
	return t.fs != nil && (t.fs.Type() == unixfs.TDirectory || t.fs.Type() == unixfs.THAMTShard)
}

// Get gives a file, from the beginning of the first of ranges, or a directory's entries.
func (b backend) Get(ctx context.Context, p path.ImmutablePath, ranges ...boxo.ByteRange) (boxo.ContentPathMetadata, *boxo.GetResponse, error) {
	t, other, err := b.at(ctx, p)
	switch {
	case err != nil:
		return t.ContentPathMetadata, nil, err
	case other:
		return b.BlocksBackend.Get(ctx, p, ranges...)
	case t.isDir():
		size, err := t.node.Size()
		if err != nil {
			return t.ContentPathMetadata, nil, err
		}
		ctx, cancel := context.WithCancel(ctx)
		return t.ContentPathMetadata, boxo.NewGetResponseFromDirectoryListing(size, b.entries(ctx, t), func() error { cancel(); return nil }), nil
	}
	var s dag.Span
	if len(ranges) > 0 {
		s.From = ranges[0].From
		if ranges[0].To != nil {
			s.To = *ranges[0].To + 1
		}
	}
	f, size, err := b.open(ctx, t, s)
	if err != nil {
		return t.ContentPathMetadata, nil, err
	}
	if err := b.lawfulRedirects(ctx, p, f, size); err != nil {
		_ = f.Close() // why it is not given is said
		return t.ContentPathMetadata, nil, err
	}
	return t.ContentPathMetadata, boxo.NewGetResponseFromReader(f, size), nil
}

// Head is Get without what the client is not sent.
func (b backend) Head(ctx context.Context, p path.ImmutablePath) (boxo.ContentPathMetadata, *boxo.HeadResponse, error) {
	t, other, err := b.at(ctx, p)
	switch {
	case err != nil:
		return t.ContentPathMetadata, nil, err
	case other:
		return b.BlocksBackend.Head(ctx, p)
	case t.isDir():
		size, err := t.node.Size()
		return t.ContentPathMetadata, boxo.NewHeadResponseForDirectory(int64(size)), err
	}
	f, size, err := b.open(ctx, t, dag.Span{To: headBytes})
	if err != nil {
		return t.ContentPathMetadata, nil, err
	}
	return t.ContentPathMetadata, boxo.NewHeadResponseForFile(f, size), nil
}

// headBytes are as many of a file as its type is guessed from.
const headBytes = 4 << 10

// open opens the file t at the beginning of s.
func (b backend) open(ctx context.Context, t thing, s dag.Span) (io.ReadSeekCloser, int64, error) {
	if len(t.node.Links()) == 0 && t.fs == nil {
		f := files.NewBytesFile(t.node.RawData()).(*files.ReaderFile)
		from := s.From
		if from < 0 {
			from = max(0, int64(len(t.node.RawData()))+from)
		}
		if _, err := f.Seek(from, io.SeekStart); err != nil {
			return nil, 0, err
		}
		one, err := b.inHand(ctx, f, len(t.node.RawData()))
		if err != nil {
			return nil, 0, err
		}
		return one, int64(len(t.node.RawData())), nil
	}
	s.Ahead = b.memory.share
	f, err := dag.OpenSpan(ctx, rooted{merkledag.NewSession(ctx, b.nodes), t.node}, t.node.Cid(), s)
	if err != nil {
		return nil, 0, err
	}
	leave, err := b.memory.enter(ctx, f.Size())
	if err != nil {
		_ = f.Close() // it has asked for nothing
		return nil, 0, err
	}
	return &sending{f, sync.OnceFunc(leave), requestOf(ctx)}, f.Size(), nil
}

// inHand is f, a file of one block of size bytes, with its room in the memory.
func (b backend) inHand(ctx context.Context, f *files.ReaderFile, size int) (*oneBlock, error) {
	leave, err := b.memory.hold(ctx, int64(size))
	if err != nil {
		return nil, err
	}
	return &oneBlock{f, sync.OnceFunc(leave)}, nil
}

// oneBlock is a file with its room in the memory.
type oneBlock struct {
	*files.ReaderFile
	leave func()
}

// Close gives the room back.
func (o *oneBlock) Close() error {
	defer o.leave()
	return o.ReaderFile.Close()
}

// sending is a file with its room in the memory.
type sending struct {
	*dag.File
	leave func()
	req   *request
}

// Read is io.Reader's.
func (s *sending) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	return n, s.said(err)
}

// WriteTo is io.WriterTo's.
func (s *sending) WriteTo(w io.Writer) (int64, error) {
	n, err := s.File.WriteTo(w)
	return n, s.said(err)
}

// said is err, noted if who made the file is to blame for it.
func (s *sending) said(err error) error {
	if errors.Is(err, dag.ErrDeep) {
		_ = s.req.fail(&failure{status: http.StatusUnprocessableEntity, why: err.Error(), asked: -1})
	}
	return err
}

// Close waits for what was asked for ahead.
func (s *sending) Close() error {
	defer s.leave()
	return s.File.Close()
}
