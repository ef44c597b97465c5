// Package host makes the libp2p host of a peer: identity, transports, limits.
//
// TCP with TLS 1.3 comes first, then Noise; QUIC, WebSocket, WebRTC and WebTransport where they
// are listened on, TCP and WebSocket on one port if need be, and the others too. The host
// is no relay. Its limits are stated in limits.go. Close it after everything that
// stands on it.
package host

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/cairn-network/cairn/node/link"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	lhost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Config is what an operator may set.
type Config struct {
	Key       crypto.PrivKey // the peer's identity; needed
	Listen    []string       // multiaddrs
	Agent     string         // told to other peers
	Private   bool           // a network of private or loopback addresses: no NAT service, no relay
	PerIP     int            // connections from one IPv4 or IPv6 address; 0 is 8
	ConnsLow  int            // the connection manager trims down to this; 0 is 96
	ConnsHigh int            // and begins above this; 0 is 160
	Traffic   *Traffic       // counts the bytes of all streams; nil: nobody does
	Line      *link.Line     // of a peer of a testnet: TCP passes it; nil: there is none
	Log       *slog.Logger   // of libp2p; nil discards
}

// New makes and starts the host: it listens when New returns.
func New(cfg Config) (lhost.Host, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	gologshim.SetDefaultHandler(cfg.Log.Handler())
	if cfg.ConnsLow == 0 {
		cfg.ConnsLow, cfg.ConnsHigh = 96, 160
	}
	conns, err := connmgr.NewConnManager(cfg.ConnsLow, cfg.ConnsHigh, connmgr.WithGracePeriod(settling))
	if err != nil {
		return nil, fmt.Errorf("host: connection manager: %w", err)
	}
	limits, err := resources(cfg)
	if err != nil {
		return nil, fmt.Errorf("host: limits: %w", err)
	}
	opts := []libp2p.Option{
		libp2p.Identity(cfg.Key),
		libp2p.ListenAddrStrings(cfg.Listen...),
		libp2p.UserAgent(cfg.Agent),
		libp2p.Security(tls.ID, newTLS),
		libp2p.Security(noise.ID, noise.New),
		libp2p.ConnectionManager(conns),
		libp2p.ResourceManager(limits),
		libp2p.DisableRelay(),
	}
	if cfg.Traffic != nil {
		opts = append(opts, libp2p.BandwidthReporter(cfg.Traffic))
	}
	if cfg.Line != nil {
		opts = append(opts, through(cfg.Line))
	} else if slices.ContainsFunc(cfg.Listen, func(a string) bool { return strings.HasSuffix(a, "/ws") }) {
		// Plain TCP and WebSocket on one port. It has to hear what a caller says first: while 64
		// of them say nothing, others wait.
		opts = append(opts, libp2p.ShareTCPListener())
	}
	if cfg.Private {
		opts = append(opts, libp2p.DisableIdentifyAddressDiscovery())
	} else {
		opts = append(opts, libp2p.NATPortMap(), libp2p.EnableAutoNATv2())
	}
	if err := Free(cfg.Listen); err != nil {
		return nil, err
	}
	h, err := libp2p.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	return h, nil
}

// Free answers an error that names the first address that somebody else listens on.
// libp2p shares its ports, so that two daemons would take turns in being called.
func Free(addrs []string) error {
	for _, s := range addrs {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return fmt.Errorf("host: listen on %q: %w", s, err)
		}
		if err := bindable(a); errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("host: address %s is in use", s)
		}
	}
	return nil
}

// bindable takes the port of a and gives it back.
func bindable(a ma.Multiaddr) error {
	network, addr, err := manet.DialArgs(first(a))
	if err != nil {
		return err
	}
	if network == "udp4" || network == "udp6" {
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		return err
	}
	return l.Close()
}

// first is the address and port of a, without what is spoken there.
func first(a ma.Multiaddr) ma.Multiaddr { return a[:min(2, len(a))] }
