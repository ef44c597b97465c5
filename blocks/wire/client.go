package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Client asks other peers. Its methods may be called by many goroutines at once.
type Client struct{ host host.Host }

// NewClient asks through h.
func NewClient(h host.Host) *Client { return &Client{h} }

// Store brings b to p under l. It returns nil once block and lease are on p's
// disk, and says whether the bytes had to be sent; a no is a [*Refusal].
func (c *Client) Store(ctx context.Context, p peer.ID, l blocks.Lease, b blocks.Block) (sent bool, err error) {
	err = c.ask(ctx, p, "store at", func(s network.Stream, r *bufio.Reader) error {
		msg := appendField([]byte{reqStore}, l.Marshal())
		msg = appendField(msg, b.Hash())
		msg = binary.AppendUvarint(msg, uint64(len(b.RawData())))
		if err := write(s, msg); err != nil {
			return err
		}
		switch ans, err := answer(r); {
		case err != nil:
			return err
		case ans == ansHave:
			return nil
		case ans != ansWant:
			return fmt.Errorf("%w: answer %q to an offer", errForm, ans)
		}
		sent = true
		if err := write(s, b.RawData()); err != nil {
			return err
		}
		_ = s.SetReadDeadline(time.Now().Add(timeout))
		ans, err := answer(r)
		if err == nil && ans != ansKept {
			err = fmt.Errorf("%w: answer %q to data", errForm, ans)
		}
		return err
	})
	return sent, err
}

// Fetch gets the block id from p, checked, or NotFound.
func (c *Client) Fetch(ctx context.Context, p peer.ID, id cid.Cid) (b blocks.Block, err error) {
	err = c.ask(ctx, p, "fetch from", func(s network.Stream, r *bufio.Reader) error {
		if err := write(s, appendField([]byte{reqGet}, id.Hash())); err != nil {
			return err
		}
		switch ans, err := r.ReadByte(); {
		case err != nil:
			return err
		case ans == ansNone:
			return blocks.NotFound(id)
		case ans != ansBlock:
			return fmt.Errorf("%w: answer %q to a get", errForm, ans)
		}
		size, err := readLen(r, blocks.MaxSize)
		if err != nil {
			return err
		}
		data, err := readData(r, size, func() { _ = s.SetReadDeadline(time.Now().Add(timeout)) })
		if err != nil {
			return err
		}
		b, err = blocks.Check(id, data)
		return err
	})
	return b, err
}

// States asks p what it has of each of hs, at most [Batch] of them.
func (c *Client) States(ctx context.Context, p peer.ID, hs []mh.Multihash) (states []State, err error) {
	err = c.ask(ctx, p, "ask", func(s network.Stream, r *bufio.Reader) error {
		if err := write(s, appendKeys([]byte{reqState}, hs)); err != nil {
			return err
		}
		if err := expect(r, reqState); err != nil {
			return err
		}
		raw := make([]byte, len(hs))
		if _, err := io.ReadFull(r, raw); err != nil {
			return err
		}
		states = make([]State, len(hs))
		for i, b := range raw {
			states[i] = State(min(b, byte(Held)))
		}
		return nil
	})
	return states, err
}

// Proven is a peer's answer to a challenge: what it has of a block, and the proof.
type Proven struct {
	State State
	MAC   []byte // see [Proof]; empty when State is Absent
}

// Prove asks p for the proof of each of hs, at most [Batch] of them.
func (c *Client) Prove(ctx context.Context, p peer.ID, nonce []byte, hs []mh.Multihash) (proofs []Proven, err error) {
	err = c.ask(ctx, p, "challenge", func(s network.Stream, r *bufio.Reader) error {
		if err := write(s, appendKeys(appendField([]byte{reqProve}, nonce), hs)); err != nil {
			return err
		}
		if err := expect(r, reqProve); err != nil {
			return err
		}
		proofs = make([]Proven, len(hs))
		for i := range proofs {
			_ = s.SetReadDeadline(time.Now().Add(timeout)) // the peer reads a block for each
			state, err := r.ReadByte()
			if err != nil {
				return err
			}
			mac, err := readField(r, nonceSize)
			if err != nil {
				return err
			}
			if len(mac) > 0 {
				proofs[i] = Proven{State(min(state, byte(Held))), mac}
			}
		}
		return nil
	})
	return proofs, err
}

// Leases asks p under which leases it holds h. They are well-formed; whether they
// stand is for the caller to ask of each.
func (c *Client) Leases(ctx context.Context, p peer.ID, h mh.Multihash) (ls []blocks.Lease, err error) {
	err = c.ask(ctx, p, "ask for leases", func(s network.Stream, r *bufio.Reader) error {
		if err := write(s, appendField([]byte{reqLeases}, h)); err != nil {
			return err
		}
		if err := expect(r, reqLeases); err != nil {
			return err
		}
		n, err := readLen(r, maxLeases)
		if err != nil {
			return err
		}
		for range n {
			l, err := readLease(r)
			if err != nil {
				return err
			}
			ls = append(ls, l)
		}
		return nil
	})
	return ls, err
}

// ask opens a stream for one exchange, and ends it with the call or with ctx.
func (c *Client) ask(ctx context.Context, p peer.ID, what string, exchange func(network.Stream, *bufio.Reader) error) error {
	open, cancel := context.WithTimeout(ctx, timeout)
	s, err := c.host.NewStream(open, p, Protocol)
	cancel()
	if err != nil {
		return fmt.Errorf("wire: %s %s: %w", what, p, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	_ = s.SetDeadline(time.Now().Add(timeout))
	if err := exchange(s, bufio.NewReader(s)); err != nil {
		_ = s.Reset()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("wire: %s %s: %w", what, p, err)
	}
	_ = s.SetDeadline(time.Now().Add(timeout))
	_ = s.Close() // everything that was promised has been read
	return nil
}

// write sends a message; a large one gets new time as it goes.
func write(s network.Stream, msg []byte) error {
	const step = 256 << 10
	for len(msg) > 0 {
		n := min(len(msg), step)
		_ = s.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := s.Write(msg[:n]); err != nil {
			return err
		}
		msg = msg[n:]
	}
	_ = s.SetReadDeadline(time.Now().Add(timeout))
	return nil
}

func answer(r *bufio.Reader) (byte, error) {
	ans, err := r.ReadByte()
	if err != nil || ans != ansNo {
		return ans, err
	}
	code, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	reason, err := readField(r, maxReason)
	if err != nil {
		return 0, err
	}
	return 0, &Refusal{Code(code), fmt.Sprintf("%q", reason)}
}

func expect(r *bufio.Reader, want byte) error {
	ans, err := r.ReadByte()
	if err == nil && ans != want {
		err = fmt.Errorf("%w: answer %q, want %q", errForm, ans, want)
	}
	return err
}

func appendKeys(b []byte, hs []mh.Multihash) []byte {
	b = binary.AppendUvarint(b, uint64(len(hs)))
	for _, h := range hs {
		b = appendField(b, h)
	}
	return b
}
