package dag

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/multiformats/go-multicodec"
)

// ErrDir says that a root is a directory where a file was wanted.
var ErrDir = errors.New("is a directory")

// ErrDeep is what a read of a file wraps whose blocks lie too deep below each other.
var ErrDeep = fmt.Errorf("deeper than %d", maxDepth)

// File is an open file. It is used by one goroutine at a time, except Close.
// Its blocks are asked for as it is read, more of them ahead the longer it is read in
// order: at most 16 MiB. An error of a block is the error of the read that needs it.
type File struct {
	root   cid.Cid
	size   int64
	begin  func() *leaves
	most   window
	share  func() int64 // bytes in hand at most, besides most; nil: no less than that
	until  int64        // the offset behind the last byte that is read
	top    ipld.Node
	off    int64   // of the next byte
	sought bool    // there was a seek since the walk began
	walk   *leaves // nil: to be begun at off
	leaf   []byte  // the last that the walk gave
	rest   []byte  // of leaf, not read

	cancel context.CancelFunc
	ended  func() error // why no more is read
	mu     sync.Mutex
	closed bool           // guarded by mu
	busy   sync.WaitGroup // added to with mu
}

var (
	_ io.ReadSeekCloser = (*File)(nil)
	_ io.WriterTo       = (*File)(nil)
)

// Open opens the file under root. It asks ng for the root alone. ctx governs
// every later read. The answer is an error that wraps [ErrDir] for a directory.
func Open(ctx context.Context, ng ipld.NodeGetter, root cid.Cid) (*File, error) {
	return openIn(ctx, ng, root, ahead16)
}

func openIn(ctx context.Context, ng ipld.NodeGetter, root cid.Cid, most window) (*File, error) {
	if err := readable(root); err != nil {
		return nil, fmt.Errorf("dag: open %s: %w", root, err)
	}
	n, err := ng.Get(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("dag: open %s: %w", root, err)
	}
	size, err := sizeOf(ctx, ng, n)
	switch {
	case errors.Is(err, uio.ErrIsDir):
		return nil, fmt.Errorf("dag: %s %w", root, ErrDir)
	case err != nil:
		return nil, fmt.Errorf("dag: open %s: %w", root, err)
	case size > math.MaxInt64:
		return nil, fmt.Errorf("dag: open %s: it claims %d bytes", root, size)
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &File{root: root, size: int64(size), most: most, until: math.MaxInt64, top: n, cancel: cancel, ended: ctx.Err}
	f.begin = func() *leaves {
		ctx, stop := context.WithCancel(ctx)
		return &leaves{
			get:  func(c cid.Cid) (ipld.Node, error) { return ng.Get(ctx, c) },
			over: ctx.Done, why: ctx.Err, stop: stop, run: f.run,
			most: f.window, hand: 1, wake: make(chan struct{}, 1),
		}
	}
	return f, nil
}

// sizeOf is how long the file under n says to be.
func sizeOf(ctx context.Context, ng ipld.NodeGetter, n ipld.Node) (uint64, error) {
	r, err := uio.NewDagReader(ctx, n, ng)
	if err != nil {
		return 0, err
	}
	return r.Size(), r.Close()
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
func (f *File) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(f.rest) == 0 {
			if err := f.next(!f.sought); err != nil {
				return n, f.wrap("read", err)
			}
		}
		some := copy(p[n:], f.rest)
		n += some
		f.pass(some)
	}
	return n, nil
}

// WriteTo writes the rest of the file to w, leaf by leaf.
func (f *File) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if len(f.rest) == 0 {
			if err := f.next(true); err == io.EOF { //nolint:errorlint // io.Reader says EOF itself
				return n, nil
			} else if err != nil {
				return n, f.wrap("read", err)
			}
		}
		want := len(f.rest)
		some, err := w.Write(f.rest)
		n += int64(some)
		f.pass(some)
		if err == nil && some < want {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, err
		}
	}
}

// next gets the leaf that begins at off, or what of it does; some more at once if the
// reader is sure to want them.
func (f *File) next(sequential bool) error {
	if err := f.ended(); err != nil {
		return err
	}
	if f.walk == nil {
		f.walk = f.begin()
		f.walk.from(f.top, f.off)
	}
	if sequential {
		f.walk.hurry()
	}
	data, err := f.walk.next()
	if err == io.EOF { //nolint:errorlint // it is ours
		return err
	}
	if err != nil {
		f.drop()
		return err
	}
	f.leaf, f.rest = data, data
	return nil
}

// pass notes that the next n bytes were read.
func (f *File) pass(n int) { f.rest, f.off = f.rest[n:], f.off+int64(n) }

// drop ends the walk: another will begin where the next read is.
func (f *File) drop() {
	if f.walk != nil {
		f.walk.stop()
	}
	f.walk, f.leaf, f.rest = nil, nil, nil
}

// Seek moves to an offset, which may be behind the end. It asks for nothing.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	to := offset
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		to += f.off
	case io.SeekEnd:
		to += f.size
	default:
		return f.off, f.wrap("seek", fmt.Errorf("whence %d", whence))
	}
	if to < 0 {
		return f.off, f.wrap("seek", fmt.Errorf("to %d, before the beginning", to))
	}
	switch at := to - (f.off - int64(len(f.leaf)-len(f.rest))); {
	case to == f.off:
	case at >= 0 && at < int64(len(f.leaf)): // in the leaf that is here
		f.off, f.rest = to, f.leaf[at:]
	default:
		f.drop()
		f.off, f.sought = to, true
	}
	return f.off, nil
}

// Close ends what the file is asking for, and waits for that. Reading afterwards fails.
func (f *File) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.busy.Wait()
	return nil
}

// run runs work on a goroutine that Close waits for.
func (f *File) run(work func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return context.Canceled
	}
	f.busy.Go(work)
	return nil
}

func (f *File) wrap(what string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // io.Reader says EOF itself
		return err
	}
	return fmt.Errorf("dag: %s %s: %w", what, f.root, err)
}
