// Package webtest is what tests of the servers of web share: connections in virtual time that
// hold nothing of what is written to them. It opens no socket.
package webtest

import (
	"errors"
	"net"
	"net/http"
	"testing"
)

// Pipes serves h on connections which hold nothing of what is written to them. dial opens one and
// gives the client's end of it; end closes them all and waits for the server. Call all of them in
// one goroutine, inside synctest.Test.
func Pipes(t testing.TB, h http.Handler) (dial func() net.Conn, end func()) {
	t.Helper()
	l := pipes{make(chan net.Conn), make(chan struct{})}
	srv := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	var clients []net.Conn
	dial = func() net.Conn {
		ours, theirs := net.Pipe()
		clients = append(clients, ours)
		l.in <- theirs
		return ours
	}
	return dial, func() {
		for _, c := range clients {
			c.Close()
		}
		close(l.done)
		if err := errors.Join(srv.Close(), <-ended); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
}

// pipes is the listener of such connections.
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
func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
