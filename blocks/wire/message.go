package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/protocol"
	mh "github.com/multiformats/go-multihash"
)

// Protocol is the libp2p name of what is spoken here.
const Protocol protocol.ID = "/cairn/blocks/0.1.0"

// Batch is the most keys in one request.
const Batch = 512

const (
	timeout   = 10 * time.Second // for the peer's next step
	maxKey    = 4 + 64           // code, length and the longest digest that is held
	maxReason = 256
	nonceSize = 32
)

// The requests and the answers.
const (
	reqStore  = 'S'
	reqGet    = 'G'
	reqState  = 'Q'
	reqProve  = 'P'
	reqLeases = 'L'

	ansWant  = 'W'
	ansHave  = 'H'
	ansKept  = 'K'
	ansNo    = 'N'
	ansBlock = 'B'
	ansNone  = '-'
)

// State is what a peer has of a block.
type State byte

// The states of a block at a peer.
const (
	Absent State = 0
	Here   State = 1 // merely read; it may go at any time
	Held   State = 2 // under a lease
)

// Code says why a peer refuses a block.
type Code byte

// The reasons.
const (
	Unfit          Code = 1 // size or hash function
	BadLease       Code = 2
	NotResponsible Code = 3 // not near enough to the key
	Full           Code = 4
	Busy           Code = 5 // not warm yet, or too much at once: later perhaps
	Failed         Code = 6 // could not write it
	Mismatch       Code = 7 // the bytes were wrong
)

// Refusal is a peer's no to a block.
type Refusal struct {
	Code   Code
	Reason string
}

func (r *Refusal) Error() string { return "wire: refused: " + r.Reason }

var errForm = errors.New("wire: malformed message")

func appendField(b, field []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

func readLen(r *bufio.Reader, limit int) (int, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, fmt.Errorf("wire: length: %w", err)
	}
	if n > uint64(limit) {
		return 0, fmt.Errorf("%w: length %d, limit %d", errForm, n, limit)
	}
	return int(n), nil
}

func readField(r *bufio.Reader, limit int) ([]byte, error) {
	n, err := readLen(r, limit)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("wire: field: %w", err)
	}
	return b, nil
}

// readData takes size bytes in steps; more gives the other side time for each, and
// nothing is allocated before what came before it has come.
func readData(r io.Reader, size int, more func()) ([]byte, error) {
	const step = 256 << 10
	data := make([]byte, 0, min(size, step))
	for len(data) < size {
		more()
		n := min(size-len(data), step)
		at := len(data)
		data = append(data, make([]byte, n)...)
		if _, err := io.ReadFull(r, data[at:]); err != nil {
			return nil, fmt.Errorf("wire: data: %w", err)
		}
	}
	return data, nil
}

func readKey(r *bufio.Reader) (mh.Multihash, error) {
	b, err := readField(r, maxKey)
	if err != nil {
		return nil, err
	}
	h, err := mh.Cast(b)
	if err != nil {
		return nil, fmt.Errorf("%w: key: %w", errForm, err)
	}
	return h, nil
}

func readKeys(r *bufio.Reader) ([]mh.Multihash, error) {
	n, err := readLen(r, Batch)
	if err != nil {
		return nil, err
	}
	hs := make([]mh.Multihash, n)
	for i := range hs {
		if hs[i], err = readKey(r); err != nil {
			return nil, err
		}
	}
	return hs, nil
}

func readLease(r *bufio.Reader) (blocks.Lease, error) {
	b, err := readField(r, blocks.MaxLeaseSize)
	if err != nil {
		return blocks.Lease{}, err
	}
	return blocks.ParseLease(b)
}
