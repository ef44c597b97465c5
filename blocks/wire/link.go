package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/network"
)

// step is how much data must go in a timeout: two messages of the muxer. A link that
// is slower than about 13 KB/s is a dead one.
const step = 128<<10 - 24

// rest is what goes with the step before it: the last few bytes of a block do not wait
// for another turn in the muxer.
const rest = 4 << 10

// link is a stream of frames and data. One goroutine reads; many may send.
type link struct {
	r       *bufio.Reader
	readBy  func(time.Duration)
	writeBy func(time.Duration)
	reset   func() // ends every read and write at once

	pen chan struct{} // whoever has it writes: a frame and its data go together
	w   io.Writer
}

func newLink(s network.Stream) *link {
	return &link{r: bufio.NewReader(s), w: s, pen: make(chan struct{}, 1), reset: func() { _ = s.Reset() },
		readBy:  func(d time.Duration) { _ = s.SetReadDeadline(time.Now().Add(d)) },
		writeBy: func(d time.Duration) { _ = s.SetWriteDeadline(time.Now().Add(d)) },
	}
}

// next reads a frame. The peer may keep silent for wait before it; io.EOF says that it
// has ended in order.
func (l *link) next(wait time.Duration) (message, error) {
	l.readBy(wait)
	return l.frame()
}

// frame is next with a deadline that stands already, until the first byte.
func (l *link) frame() (message, error) {
	if _, err := l.r.Peek(1); err != nil {
		return nil, err
	}
	l.readBy(timeout)
	n, err := binary.ReadUvarint(l.r)
	if err != nil {
		return nil, fmt.Errorf("wire: length: %w", cut(err))
	}
	if n == 0 || n > maxFrame {
		return nil, malformed("frame of %d bytes, limit %d", n, maxFrame)
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(l.r, frame); err != nil {
		return nil, fmt.Errorf("wire: frame: %w", cut(err))
	}
	return decode(frame)
}

// cut says of an end in the middle of something that it is none in order.
func cut(err error) error {
	if err == io.EOF { //nolint:errorlint // io.Reader says EOF itself
		return io.ErrUnexpectedEOF
	}
	return err
}

// heads are buffers for the first step of a block: a peer that says much and sends
// little makes nobody allocate what it has said.
var heads = sync.Pool{New: func() any { return new([step]byte) }}

// data reads what follows begun of size bytes, which the caller has found to be within
// the limits, and gives all of them; with an error, those that have come.
func (l *link) data(begun []byte, size int) ([]byte, error) {
	head := heads.Get().(*[step]byte)
	defer heads.Put(head)
	n := len(begun)
	k, err := l.fill(head[:min(size-n, step)])
	if err != nil {
		return slices.Concat(begun, head[:k]), err
	}
	b := make([]byte, size)
	copy(b, begun)
	copy(b[n:], head[:k])
	for n += k; n < size; n += k {
		if k, err = l.fill(b[n:min(size, n+step)]); err != nil {
			return bytes.Clone(b[:n+k]), err
		}
	}
	return b, nil
}

// skip reads size bytes that nobody wants any more.
func (l *link) skip(size int) error {
	head := heads.Get().(*[step]byte)
	defer heads.Put(head)
	for ; size > 0; size -= min(size, step) {
		if _, err := l.fill(head[:min(size, step)]); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) fill(b []byte) (n int, err error) {
	l.readBy(timeout)
	if n, err = io.ReadFull(l.r, b); err != nil {
		err = fmt.Errorf("wire: data: %w", cut(err))
	}
	return n, err
}

// send writes frames, as one piece.
func (l *link) send(ms ...message) error {
	var b []byte
	for _, m := range ms {
		e := encode(nil, m)
		if len(e) > maxFrame {
			return malformed("frame of %d bytes, limit %d", len(e), maxFrame)
		}
		b = append(binary.AppendUvarint(b, uint64(len(e))), e...)
	}
	l.pen <- struct{}{} // for no longer than the deadline of who has it
	defer func() { <-l.pen }()
	return l.write(b, nil)
}

// sendData writes a Data with its bytes; moved hears of each step.
func (l *link) sendData(idx uint32, b []byte, moved func()) error {
	if len(b) > blocks.MaxSize {
		return malformed("block of %d bytes, limit %d", len(b), blocks.MaxSize)
	}
	e := encode(nil, &data{idx, uint32(len(b))})
	l.pen <- struct{}{} // for no longer than the deadline of who has it
	defer func() { <-l.pen }()
	if err := l.write(append(binary.AppendUvarint(nil, uint64(len(e))), e...), nil); err != nil {
		return err
	}
	return l.write(b, moved)
}

func (l *link) write(b []byte, moved func()) error {
	for len(b) > 0 {
		n := min(len(b), step)
		if len(b) < step+rest {
			n = len(b)
		}
		l.writeBy(timeout)
		if _, err := l.w.Write(b[:n]); err != nil {
			return fmt.Errorf("wire: write: %w", err)
		}
		b = b[n:]
		if moved != nil {
			moved()
		}
	}
	return nil
}
