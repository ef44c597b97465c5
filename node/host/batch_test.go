package host_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	mrand "math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node/host"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// counting counts the calls of a connection.
type counting struct {
	net.Conn
	writes, reads atomic.Int64
}

func (c *counting) Write(b []byte) (int, error) { c.writes.Add(1); return c.Conn.Write(b) }
func (c *counting) Read(b []byte) (int, error)  { c.reads.Add(1); return c.Conn.Read(b) }

// secured are the two ends of a TLS connection over loopback, and what is under them. plain
// is libp2p's own.
func secured(t *testing.T, plain bool) (ends [2]sec.SecureConn, under [2]*counting) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	under = [2]*counting{{Conn: dialled}, {Conn: accepted}}
	var ids [2]peer.ID
	var by [2]sec.SecureTransport
	for i := range ids {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if ids[i], err = peer.IDFromPrivateKey(key); err != nil {
			t.Fatal(err)
		}
		if plain {
			by[i], err = tls.New(tls.ID, key, nil)
		} else {
			by[i], err = host.NewTLS(tls.ID, key, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	in := make(chan error, 1)
	go func() { // ends with ctx; waited for on in
		c, err := by[1].SecureInbound(ctx, under[1], ids[0])
		ends[1] = c
		in <- err
	}()
	ends[0], err = by[0].SecureOutbound(ctx, under[0], ids[1])
	if err := errors.Join(err, <-in); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ends[0].Close(), ends[1].Close() })
	for _, c := range ends {
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return ends, under
}

// What is written comes out at the other end, whatever its sizes, both ways at once.
func TestBatchedBytesAreTheBytes(t *testing.T) {
	ends, _ := secured(t, false)
	fail := make(chan error, 4)
	for i := range ends {
		seed := [32]byte{byte(i)}
		const all = 8 << 20
		go func() { // waited for on fail
			src, sizes := mrand.NewChaCha8(seed), mrand.New(mrand.NewPCG(uint64(i), 1))
			for left := all; left > 0; {
				b := make([]byte, min(left, []int{1, 12, 100, 16 << 10, 64<<10 + 12, 200 << 10}[sizes.IntN(6)]))
				_, _ = src.Read(b)
				if n, err := ends[i].Write(b); err != nil || n != len(b) {
					fail <- errors.Join(err, io.ErrShortWrite)
					return
				}
				left -= len(b)
			}
			fail <- nil
		}()
		go func() { // waited for on fail
			got, want := make([]byte, all), make([]byte, all)
			_, err := io.ReadFull(ends[1-i], got)
			src, sizes := mrand.NewChaCha8(seed), mrand.New(mrand.NewPCG(uint64(i), 1))
			for left := want; len(left) > 0; {
				n := min(len(left), []int{1, 12, 100, 16 << 10, 64<<10 + 12, 200 << 10}[sizes.IntN(6)])
				_, _ = src.Read(left[:n])
				left = left[n:]
			}
			if err == nil && !bytes.Equal(got, want) {
				err = errors.New("other bytes came out")
			}
			fail <- err
		}()
	}
	for range 4 {
		if err := <-fail; err != nil {
			t.Error(err)
		}
	}
}

// A frame of the muxer is one call of the kernel, where TLS alone makes one of each record.
func TestAFrameIsOneWrite(t *testing.T) {
	const frames, size = 64, 64 << 10
	calls := func(plain bool) int64 {
		ends, under := secured(t, plain)
		frame := make([]byte, size)
		read := make(chan error, 1)
		go func() { // waited for on read
			_, err := io.CopyN(io.Discard, ends[1], 2*frames*size)
			read <- err
		}()
		for i := range 2 * frames {
			if i == frames { // by now records have their full size
				under[0].writes.Store(0)
			}
			if _, err := ends[0].Write(frame); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-read; err != nil {
			t.Fatal(err)
		}
		return under[0].writes.Load()
	}
	got, control := calls(false), calls(true)
	t.Logf("FIGURE writes for %d frames: %d, by TLS alone %d", frames, got, control)
	if got != frames || control < 4*frames {
		t.Errorf("%d writes for %d frames, and %d by TLS alone", got, frames, control)
	}
}

// A write that the kernel does not take in time fails, and so does every later one.
func TestAWriteThatIsNotTakenFails(t *testing.T) {
	ends, _ := secured(t, false)
	if err := ends[0].SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	frame, err := make([]byte, 64<<10), error(nil)
	for i := 0; i < 1000 && err == nil; i++ {
		_, err = ends[0].Write(frame)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("err = %v, want a deadline", err)
	}
	if err := ends[0].SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{10, len(frame)} {
		if _, err := ends[0].Write(frame[:n]); err == nil {
			t.Errorf("%d bytes were written after a piece was lost", n)
		}
	}
}
