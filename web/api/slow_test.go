package api_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/web/api"
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

// who has no token and takes no answer is let go, also when that is so short that it is
// sent after its handler has ended, and from the page. The control: one that takes it has it.
func TestAnAnswerThatNobodyTakesIsGivenUp(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	for _, path := range []string{"/healthz", "/api/v1/id", "/nothing", "/ui/app.js"} {
		for _, takes := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				l := pipes{make(chan net.Conn), make(chan struct{})}
				srv := &http.Server{Handler: api.New(node(""), api.Config{Token: token, Page: page})}
				ended := make(chan error, 1)
				go func() { ended <- srv.Serve(l) }()
				ours, theirs := net.Pipe()
				l.in <- theirs
				fmt.Fprintf(ours, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path)
				if !takes {
					time.Sleep(2 * time.Minute)
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
