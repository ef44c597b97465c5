package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"

	"github.com/ipfs/boxo/blockservice"
	boxo "github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/path"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/storage"
	"github.com/multiformats/go-varint"
)

// GetCAR gives the blocks that prove p, and below it those that params ask for,
// depth first. It reads one at a time, as the client takes them, and keeps none:
// what it remembers is 16 bytes of each CID. The root is read before it answers, so
// that what is not to be had is an error and no stream that breaks off.
//
// A path that leads nowhere is proved by the blocks up to where it ends.
func (b backend) GetCAR(ctx context.Context, p path.ImmutablePath, params boxo.CarParams) (boxo.ContentPathMetadata, io.ReadCloser, error) {
	req := requestOf(ctx)
	var onPath []cid.Cid
	stop := req.listen(func(c cid.Cid) {
		if !slices.ContainsFunc(onPath, c.Equals) {
			onPath = append(onPath, c)
		}
	})
	md, err := b.ResolvePath(ctx, p)
	stop()
	if f := req.failure(); f != nil {
		return md, nil, f.asError()
	}
	root := boxo.EmptyIdentityCID
	walk := func(func(block.Block, error) bool) {}
	if err == nil {
		root = md.LastSegment.RootCid()
		onPath = slices.DeleteFunc(onPath, root.Equals)
		from := blockservice.NewSession(ctx, b.bs)
		if _, err := from.GetBlock(ctx, root); err != nil {
			if f := req.failure(); f != nil {
				err = f.asError()
			}
			return md, nil, err
		}
		w := newWalk(from, params, len(md.LastSegmentRemainder) > 0)
		walk = w.from(ctx, root)
	} else if nowhere(err) {
		md = boxo.ContentPathMetadata{LastSegment: path.FromCid(p.RootCid())}
	} else {
		return md, nil, err
	}
	head, err := carHead(root)
	if err != nil {
		return md, nil, fmt.Errorf("gateway: car: %w", err)
	}
	s := &stream{rest: head}
	s.next, s.stop = iter.Pull2(sections(ctx, b.bs, onPath, walk))
	if err := s.first(); err != nil {
		s.stop()
		if f := req.failure(); f != nil {
			err = f.asError()
		}
		return md, nil, err
	}
	if req.method == http.MethodHead {
		s.stop()
		s.rest = nil // what is to be had is there; who asked wants no more of it
		s.next = func() ([]byte, error, bool) { return nil, nil, false }
	}
	return md, s, nil
}

// carHead is the header of a CAR of version 1.
func carHead(root cid.Cid) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := storage.NewWritable(&buf, []cid.Cid{root}, car.WriteAsCarV1(true)); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// sections are the pieces of a CAR after its header: those of the path, then the walk's.
func sections(ctx context.Context, bs blockservice.BlockService, onPath []cid.Cid, walk iter.Seq2[block.Block, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		put := func(b block.Block, err error) bool {
			if err != nil {
				yield(nil, err)
				return false
			}
			key := b.Cid().Bytes()
			head := append(varint.ToUvarint(uint64(len(key)+len(b.RawData()))), key...)
			return yield(head, nil) && (len(b.RawData()) == 0 || yield(b.RawData(), nil))
		}
		for _, c := range onPath {
			if isIdentity(c) {
				continue
			}
			if !put(bs.GetBlock(ctx, c)) {
				return
			}
		}
		for b, err := range walk {
			if !put(b, err) {
				return
			}
		}
	}
}

// stream reads pieces as one.
type stream struct {
	rest []byte
	err  error
	next func() ([]byte, error, bool)
	stop func()
}

// first reads the first piece after the header.
func (s *stream) first() error {
	data, err, ok := s.next()
	if ok && err != nil {
		return err
	}
	s.rest = append(s.rest, data...)
	return nil
}

// Read is io.Reader's.
func (s *stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 && s.err == nil {
		data, err, ok := s.next()
		s.rest = data
		if s.err = err; !ok {
			s.err = io.EOF
		}
	}
	if len(s.rest) == 0 {
		return 0, s.err
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Close ends the walk. The error is the one that ended it before, if one did.
func (s *stream) Close() error {
	s.stop()
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}
