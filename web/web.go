// Package web puts the faces of a peer on the network: the API on one port, the
// gateway on another, so that they are two origins.
//
//	Listen(addresses) → URLs → Run(ctx, api, gateway): serve both until ctx is done
//
// The two are separate in time because the API tells the URLs, which are known
// only when the ports are taken. Each handler guards itself (see web/api and
// web/gateway); this package owns the sockets, their limits and their end.
package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/cairn-network/cairn/web/gateway"
	"github.com/cairn-network/cairn/web/ui"
	"github.com/ipfs/boxo/blockservice"
	"golang.org/x/sync/errgroup"
)

// The limits of a connection, and of our patience with it.
const (
	headerTime = 5 * time.Second
	idleTime   = 60 * time.Second
	endTime    = 3 * time.Second // for requests to end after ctx: a client that reads no more must not hold the daemon up
	maxHeader  = 32 << 10        // bytes
)

// Config says where to listen. Port 0 takes a free one.
type Config struct {
	API       string // "" is 127.0.0.1:5101
	Gateway   string // "" is 127.0.0.1:8180
	NoGateway bool
	PerIP     int            // connections from one address to one of them; 0 is 64, and for this machine's own no limit; less than 0 is none
	Proxies   []netip.Prefix // networks for whose addresses there is none
	Log       *slog.Logger   // nil discards
}

func (c Config) withDefaults() Config {
	c.API = cmp.Or(c.API, "127.0.0.1:5101")
	c.Gateway = cmp.Or(c.Gateway, "127.0.0.1:8180")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Server holds the ports. The zero value is not usable; [Listen] makes one.
type Server struct {
	api, gateway net.Listener // gateway is nil when there is none
	cfg          Config
	log          *slog.Logger
}

// Listen takes the ports and serves nothing yet. For a port that is taken it
// answers an error that says so and that syscall.EADDRINUSE holds for.
func Listen(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, log: cfg.Log}
	var err error
	if s.api, err = listen(cfg.API); err != nil {
		return nil, err
	}
	if !cfg.NoGateway {
		if s.gateway, err = listen(cfg.Gateway); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &inUse{addr, err}
	case err != nil:
		return nil, fmt.Errorf("web: %w", err)
	}
	return l, nil
}

type inUse struct {
	addr string
	err  error
}

func (e *inUse) Error() string { return "web: address " + e.addr + " is in use" }
func (e *inUse) Unwrap() error { return e.err }

// APIURL is where the API can be reached from this machine.
func (s *Server) APIURL() string { return address(s.api) }

// GatewayURL is where the gateway can be reached from this machine; "" when there is none.
func (s *Server) GatewayURL() string { return address(s.gateway) }

func address(l net.Listener) string {
	if l == nil {
		return ""
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "http://" + l.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // where all interfaces answer, this one does
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Run serves until ctx is done and every request has ended, which takes 3 s at
// most: their contexts end with ctx. It answers nil then, or why it could serve
// no longer. It gives the ports back; it can be called once. gate may be nil
// when there is none.
func (s *Server) Run(ctx context.Context, api, gate http.Handler) error {
	g, ctx := errgroup.WithContext(ctx)
	face := func(name string, l net.Listener, h http.Handler) {
		srv := &http.Server{
			Handler:           h,
			ReadHeaderTimeout: headerTime,
			IdleTimeout:       idleTime,
			MaxHeaderBytes:    maxHeader,
			BaseContext:       func(net.Listener) context.Context { return ctx },
			ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),

			DisableGeneralOptionsHandler: true, // OPTIONS * passes the guard like any other
		}
		g.Go(func() error {
			if err := srv.Serve(newCrowd(l, s.cfg)); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("web: %s: %w", name, err)
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
			defer cancel()
			if err := srv.Shutdown(late); err != nil {
				s.log.Warn("requests did not end in time", "face", name, "err", err)
				_ = srv.Close() // what it says, Shutdown has said
			}
			return nil
		})
	}
	face("api", s.api, api)
	if s.gateway != nil {
		face("gateway", s.gateway, gate)
	}
	return g.Wait()
}

// GatewayConfig says how content is served. The zero value is production.
type GatewayConfig = gateway.Config

// Gateway makes the handler of the gateway over bs.
func Gateway(bs blockservice.BlockService, cfg GatewayConfig) http.Handler {
	return gateway.New(bs, cfg)
}

// Page makes the handler of the page, which goes with the API of the same port;
// gateway is the URL that its previews come from, "" for none.
func Page(gateway string) http.Handler { return ui.New(gateway) }

// Close gives the ports back if Run was not called; after Run it does nothing.
func (s *Server) Close() error {
	var errs []error
	for _, l := range []net.Listener{s.api, s.gateway} {
		if l == nil {
			continue
		}
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
