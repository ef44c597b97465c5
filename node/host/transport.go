package host

import (
	"context"
	"net"
	"time"

	"github.com/cairn-network/cairn/node/link"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// through are the transports of a peer of a testnet: TCP through its line, and QUIC,
// which does not pass it, for who asks to listen on that.
func through(line *link.Line) libp2p.Option {
	return libp2p.ChainOptions(
		libp2p.Transport(func(u transport.Upgrader, limits network.ResourceManager) (*lineTransport, error) {
			plain, err := tcp.NewTCPTransport(u, limits, nil)
			return &lineTransport{plain, line, u, limits}, err
		}),
		libp2p.Transport(quic.NewTransport),
	)
}

// lineTransport is libp2p's TCP transport with every connection through a line. It
// dials from a port of its own each time.
type lineTransport struct {
	plain    *tcp.TcpTransport // says what is TCP
	line     *link.Line
	upgrader transport.Upgrader
	limits   network.ResourceManager
}

var _ transport.Transport = (*lineTransport)(nil)

// dialTime is libp2p's own limit.
const dialTime = 5 * time.Second

// Dial connects to the peer id at addr.
func (t *lineTransport) Dial(ctx context.Context, addr ma.Multiaddr, id peer.ID) (_ transport.CapableConn, err error) {
	scope, err := t.limits.OpenConnection(network.DirOutbound, true, addr)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			scope.Done()
		}
	}()
	if err := scope.SetPeer(id); err != nil {
		return nil, err
	}
	dialCtx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var d manet.Dialer
	c, err := d.DialContext(dialCtx, addr)
	if err != nil {
		return nil, err
	}
	return t.upgrader.Upgrade(ctx, t, t.wrap(c), network.DirOutbound, id, scope)
}

// Listen listens at addr.
func (t *lineTransport) Listen(addr ma.Multiaddr) (transport.Listener, error) {
	l, err := manet.Listen(addr)
	if err != nil {
		return nil, err
	}
	return t.upgrader.UpgradeGatedMaListener(t, t.upgrader.GateMaListener(&lineListener{l, t})), nil
}

// CanDial reports whether addr is one of TCP.
func (t *lineTransport) CanDial(addr ma.Multiaddr) bool { return t.plain.CanDial(addr) }

// Protocols is TCP.
func (t *lineTransport) Protocols() []int { return t.plain.Protocols() }

// Proxy is false: it reaches the address itself.
func (t *lineTransport) Proxy() bool { return false }

// wrap puts c on the line. A connection that is closed is reset, as libp2p's are, so
// that a peer that comes back finds its port free.
func (t *lineTransport) wrap(c manet.Conn) manet.Conn {
	if l, ok := c.(interface{ SetLinger(seconds int) error }); ok {
		_ = l.SetLinger(0) // without it a port is free later
	}
	return &lineConn{t.line.Conn(c), c}
}

type lineListener struct {
	manet.Listener
	t *lineTransport
}

// Accept gives the next connection, through the line.
func (l *lineListener) Accept() (manet.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.t.wrap(c), nil
}

// lineConn is a connection through a line, with the addresses of the one under it.
type lineConn struct {
	net.Conn
	under manet.Conn
}

// LocalMultiaddr is the address of this end.
func (c *lineConn) LocalMultiaddr() ma.Multiaddr { return c.under.LocalMultiaddr() }

// RemoteMultiaddr is the address of the other end.
func (c *lineConn) RemoteMultiaddr() ma.Multiaddr { return c.under.RemoteMultiaddr() }
