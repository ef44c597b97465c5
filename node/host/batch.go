package host

import (
	"context"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// batchTLS is libp2p's TLS, which the kernel sees in larger pieces: TLS reads and writes
// one record of 16 KiB at a time, the muxer above it frames of 64 KiB.
//
//	frame → TLS → its records, together → kernel → what is there → TLS, a record at a time
type batchTLS struct{ *tls.Transport }

var _ sec.SecureTransport = (*batchTLS)(nil)

func newTLS(id protocol.ID, key crypto.PrivKey, muxers []upgrader.StreamMuxer) (*batchTLS, error) {
	t, err := tls.New(id, key, muxers)
	return &batchTLS{t}, err
}

// SecureInbound is TLS's.
func (t *batchTLS) SecureInbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	raw := &batchConn{Conn: insecure}
	c, err := t.Transport.SecureInbound(ctx, raw, p)
	if err != nil {
		return nil, err
	}
	return &batched{c, raw}, nil
}

// SecureOutbound is TLS's.
func (t *batchTLS) SecureOutbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	raw := &batchConn{Conn: insecure}
	c, err := t.Transport.SecureOutbound(ctx, raw, p)
	if err != nil {
		return nil, err
	}
	return &batched{c, raw}, nil
}

const (
	record = 16 << 10 // bytes of plain text in a record of TLS, at most
	batch  = 80 << 10 // a frame of the muxer as records
)

// batches are buffers that a connection has only while it is busy.
var batches = sync.Pool{New: func() any { return new([batch]byte) }}

// batched is a TLS connection whose records go to the kernel with the write they are of.
type batched struct {
	sec.SecureConn
	raw *batchConn
}

// Write answers when the kernel has all of b.
func (c *batched) Write(b []byte) (int, error) {
	if len(b) <= record {
		return c.SecureConn.Write(b)
	}
	c.raw.cork()
	n, err := c.SecureConn.Write(b)
	if e := c.raw.uncork(); e != nil && err == nil {
		return 0, e
	}
	return n, err
}

// batchConn is the connection under TLS, which serializes its writes, and its reads.
type batchConn struct {
	net.Conn

	mu     sync.Mutex
	corked int          // guarded by mu: writes under way above
	out    *[batch]byte // guarded by mu: not yet written; nil: nothing is
	n      int          // guarded by mu: bytes of out
	err    error        // guarded by mu: the first of a write, after which there is none

	in    *[batch]byte // of who reads: read ahead; nil: nothing was
	rest  []byte       // of in
	ended error        // of who reads: what came with rest
	busy  bool         // of who reads: there was more to read than asked for
}

func (c *batchConn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked++
}

func (c *batchConn) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked--
	return c.flush()
}

// flush writes what has gathered, with mu held.
func (c *batchConn) flush() error {
	if c.out == nil {
		return c.err
	}
	if c.err == nil && c.n > 0 {
		_, c.err = c.Conn.Write(c.out[:c.n])
	}
	batches.Put(c.out)
	c.out, c.n = nil, 0
	return c.err
}

// Write gathers b while the connection is corked.
func (c *batchConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if c.out != nil && c.n+len(b) > batch || c.corked == 0 {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if c.corked == 0 || len(b) > batch {
		n, err := c.Conn.Write(b)
		c.err = err
		return n, err
	}
	if c.out == nil {
		c.out = batches.Get().(*[batch]byte)
	}
	c.n += copy(c.out[c.n:], b)
	return len(b), nil
}

// Read reads ahead where the kernel had more than was asked for.
func (c *batchConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		if err := c.ended; err != nil {
			return 0, err
		}
		if !c.busy || len(b) == 0 {
			n, err := c.Conn.Read(b)
			c.busy = n == len(b) && n >= record/4
			return n, err
		}
		c.in = batches.Get().(*[batch]byte)
		n, err := c.Conn.Read(c.in[:])
		c.busy, c.rest = n > 2*record, c.in[:n]
		if n == 0 {
			c.free()
			return 0, err
		}
		c.ended = err
	}
	n := copy(b, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.free()
	}
	return n, nil
}

func (c *batchConn) free() {
	batches.Put(c.in)
	c.in, c.rest = nil, nil
}
