package dag

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/multiformats/go-multicodec"
)

// ErrDir says that a root is a directory where a file was wanted.
var ErrDir = errors.New("is a directory")

// File is an open file. It is used by one goroutine at a time, except Close.
// Its blocks are asked for as it is read, a few ahead; an error of one of them
// is the error of the read.
type File struct {
	root cid.Cid
	size int64
	r    uio.DagReader
}

var (
	_ io.ReadSeekCloser = (*File)(nil)
	_ io.WriterTo       = (*File)(nil)
)

// Open opens the file under root. It asks ng for the root alone. ctx governs
// every later read. The answer is an error that wraps [ErrDir] for a directory.
func Open(ctx context.Context, ng ipld.NodeGetter, root cid.Cid) (*File, error) {
	if err := readable(root); err != nil {
		return nil, fmt.Errorf("dag: open %s: %w", root, err)
	}
	n, err := ng.Get(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("dag: open %s: %w", root, err)
	}
	r, err := uio.NewDagReader(ctx, n, ng)
	switch {
	case errors.Is(err, uio.ErrIsDir):
		return nil, fmt.Errorf("dag: %s %w", root, ErrDir)
	case err != nil:
		return nil, fmt.Errorf("dag: open %s: %w", root, err)
	case r.Size() > math.MaxInt64:
		return nil, fmt.Errorf("dag: open %s: it claims %d bytes", root, r.Size())
	}
	return &File{root: root, size: int64(r.Size()), r: r}, nil
}

// readable answers an error for a codec that no file is written in.
func readable(c cid.Cid) error {
	if codec := c.Type(); codec != cid.Raw && codec != cid.DagProtobuf {
		return fmt.Errorf("codec %s: want raw or dag-pb", multicodec.Code(codec))
	}
	return nil
}

// CID is the root of the file.
func (f *File) CID() cid.Cid { return f.root }

// Size is the length of the file in bytes, as its root states it.
func (f *File) Size() int64 { return f.size }

// Read fills p unless the file ends before.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	return n, f.wrap("read", err)
}

// WriteTo writes the rest of the file to w, leaf by leaf.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	n, err := f.r.WriteTo(w)
	return n, f.wrap("read", err)
}

// Seek moves to an offset, and asks for the blocks on the way to it.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	n, err := f.r.Seek(offset, whence)
	return n, f.wrap("seek", err)
}

// Close ends what the file is asking for. Reading afterwards fails.
func (f *File) Close() error { return f.r.Close() }

func (f *File) wrap(what string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // io.Reader says EOF itself
		return err
	}
	return fmt.Errorf("dag: %s %s: %w", what, f.root, err)
}
