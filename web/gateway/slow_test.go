package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/web/gateway"
	"github.com/libp2p/go-libp2p/core/peer"
)

// pipes is a listener whose connections hold nothing of what is written to them.
type pipes struct {
	in   chan net.Conn
	done chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.in:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error { return nil }
func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// a client that takes nothing is let go within a minute, also when the answer is so short
// that it is sent after its handler has ended. The control: one that takes it has it.
func TestAnAnswerThatNobodyTakesIsGivenUp(t *testing.T) {
	for _, path := range []string{"/ipfs/bafkqaaa", "/nothing", "/ipfs/nonsense", "/routing/v1/providers/bafkqaaa"} {
		for _, takes := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				l := pipes{make(chan net.Conn), make(chan struct{})}
				srv := &http.Server{Handler: gateway.New(service(t, nil), gateway.Config{Routing: atlas{ids: []peer.ID{"one", "two"}}})}
				ended := make(chan error, 1)
				go func() { ended <- srv.Serve(l) }()
				ours, theirs := net.Pipe()
				l.in <- theirs
				fmt.Fprintf(ours, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path)
				if !takes {
					time.Sleep(time.Minute)
				}
				synctest.Wait()
				n, err := ours.Read(make([]byte, 1))
				if taken := n == 1 && err == nil; taken != takes {
					t.Errorf("%s: %d bytes, %v", path, n, err)
				}
				ours.Close()
				close(l.done)
				if err := errors.Join(srv.Close(), <-ended); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
					t.Error(err)
				}
			})
		}
	}
}

// a client that takes 10 bytes a second is let go within a minute; one that takes
// 4 KiB a second has all of it in its time.
func TestASlowReaderIsLetGo(t *testing.T) {
	for name, c := range map[string]struct {
		each  int
		whole bool
	}{"10 B/s": {10, false}, "4 KiB/s": {4 << 10, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bs := service(t, nil)
				root := leaves(t, bs, 4, 0)
				l := pipes{make(chan net.Conn), make(chan struct{})}
				srv := &http.Server{Handler: gateway.New(bs, gateway.Config{})}
				ended := make(chan error, 1)
				go func() { ended <- srv.Serve(l) }()
				ours, theirs := net.Pipe()
				l.in <- theirs
				fmt.Fprintf(ours, "GET /ipfs/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", root.Cid())
				begin, got, buf := time.Now(), 0, make([]byte, c.each)
				for {
					n, err := io.ReadFull(ours, buf)
					got += n
					if err != nil {
						break
					}
					time.Sleep(time.Second)
				}
				if took := time.Since(begin); !c.whole && took > time.Minute {
					t.Errorf("let go after %s", took)
				}
				if whole := got > 1<<20; whole != c.whole {
					t.Errorf("%d bytes in %s", got, time.Since(begin))
				}
				ours.Close()
				close(l.done)
				if err := errors.Join(srv.Close(), <-ended); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
					t.Error(err)
				}
			})
		})
	}
}
