package dag

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"
	mh "github.com/multiformats/go-multihash"
)

// The limits of a CAR that is read.
const (
	maxCARHeader  = 64 << 10            // bytes: 1,700 roots
	maxCARSection = blocks.MaxSize + 64 // bytes: a block and its CID, but those that carry their data
	maxCARGap     = 1 << 20             // bytes between the headers of version 2 and its data
	carHeads      = car.PragmaSize + car.HeaderSize
)

// CAR is a file of blocks that is being read, of version 1 or 2.
type CAR struct {
	Version int
	Roots   []cid.Cid // each once; there may be none
	in      *carInput
	end     int64 // where its blocks end; 0 is the end of the file
	blocks  *car.BlockReader
}

// ReadCAR reads the header of the CAR that r gives. What is wrong with it is a
// [*blocks.CARError]; that r failed is r's error.
func ReadCAR(r io.Reader) (*CAR, error) {
	c := &CAR{in: &carInput{Reader: bufio.NewReaderSize(r, maxCARHeader)}}
	head, err := c.in.Peek(carHeads)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("dag: car: %w", err)
	}
	if bytes.HasPrefix(head, car.Pragma) {
		var h car.Header
		if _, err := h.ReadFrom(bytes.NewReader(head[car.PragmaSize:])); err != nil {
			return nil, c.bad(0, err)
		}
		if h.DataOffset < carHeads || h.DataOffset > carHeads+maxCARGap || h.DataSize < 1 || h.DataSize > 1<<62 {
			return nil, c.bad(car.PragmaSize, fmt.Errorf("%d bytes of blocks from byte %d on", h.DataSize, h.DataOffset))
		}
		c.end = int64(h.DataOffset + h.DataSize)
	}
	c.blocks, err = car.NewBlockReader(c.in, car.MaxAllowedHeaderSize(maxCARHeader), car.MaxAllowedSectionSize(maxCARSection),
		car.WithTrustedCAR(true)) // blocks.Check does not trust it
	if err != nil {
		return nil, c.bad(0, err)
	}
	c.Version = int(c.blocks.Version)
	seen := map[cid.Cid]bool{}
	for _, root := range c.blocks.Roots {
		if !root.Defined() {
			return nil, c.bad(0, errors.New("a root that is no CID"))
		}
		if !seen[root] {
			seen[root] = true
			c.Roots = append(c.Roots, root)
		}
	}
	return c, nil
}

// Blocks yields the blocks in their order, each checked, as often as the CAR has them; what
// stands in its own CID is checked and not yielded. It reads to the end of r, also what
// follows the blocks in version 2. A CAR that was cut off is a [*blocks.CARError]. After an
// error it yields nothing more.
func (c *CAR) Blocks() iter.Seq2[blocks.Block, error] {
	return func(yield func(blocks.Block, error) bool) {
		for {
			at := c.in.n
			b, err := c.next()
			switch {
			case err == nil && b.Cid().Prefix().MhType == mh.IDENTITY:
				continue
			case err == nil:
				if !yield(b, nil) {
					return
				}
				continue
			case errors.Is(err, io.EOF):
				if err = c.whole(at); err == nil {
					return
				}
			default:
				err = c.bad(at, err)
			}
			yield(blocks.Block{}, err)
			return
		}
	}
}

func (c *CAR) next() (blocks.Block, error) {
	b, err := c.blocks.Next()
	if err != nil {
		return blocks.Block{}, err
	}
	if n := len(b.RawData()); n > blocks.MaxSize {
		return blocks.Block{}, fmt.Errorf("%w: %d bytes, limit %d", blocks.ErrUnfit, n, blocks.MaxSize)
	}
	return blocks.Check(b.Cid(), b.RawData())
}

// whole answers nil if the CAR ends where its last section did, at at.
func (c *CAR) whole(at int64) error {
	if c.in.err != nil {
		return fmt.Errorf("dag: car: %w", c.in.err)
	}
	if c.in.n != at || c.end != 0 && c.in.n != c.end {
		return c.bad(at, errors.New("it ends too early"))
	}
	if _, err := io.Copy(io.Discard, c.in); err != nil { // an index
		return fmt.Errorf("dag: car: %w", err)
	}
	return nil
}

// bad is what is wrong with the CAR, unless it could not be read.
func (c *CAR) bad(at int64, err error) error {
	if c.in.err != nil {
		return fmt.Errorf("dag: car: %w", c.in.err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return fmt.Errorf("dag: %w", &blocks.CARError{Offset: at, Err: err})
}

// carInput counts what is read of a CAR, and remembers why it could not be.
type carInput struct {
	*bufio.Reader
	n   int64
	err error // but io.EOF
}

func (r *carInput) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.note(n, err)
	return n, err
}

// ReadByte is io.ByteReader's.
func (r *carInput) ReadByte() (byte, error) {
	b, err := r.Reader.ReadByte()
	if err == nil {
		r.n++
	}
	r.note(0, err)
	return b, err
}

func (r *carInput) note(n int, err error) {
	r.n += int64(n)
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader says EOF itself
		r.err = err
	}
}
