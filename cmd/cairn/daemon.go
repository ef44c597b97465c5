package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/rpc"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// stopTime is how long a daemon that is told to stop may take.
const stopTime = 9500 * time.Millisecond

// daemonFlags stand over the configuration; empty is what it says.
type daemonFlags struct {
	profile, api, gateway, level string
	listen, bootstrap            []string
}

func (p *program) daemonCmd() *cobra.Command {
	var o daemonFlags
	cmd := &cobra.Command{
		Use:        "daemon",
		Aliases:    []string{"serve", "start"},
		SuggestFor: []string{"run", "up"},
		Short:      "Run a peer until it is told to stop",
		Long: `Run a peer until it is told to stop, by Ctrl-C or SIGTERM.

It needs no preparation: the first run makes the home and says where it is, with
ports that are free.`,
		Example: `  cairn daemon
  cairn daemon --home ./peer --bootstrap /ip4/192.0.2.7/tcp/4101/p2p/12D3KooW...`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.daemon(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "network-profile", "", "public, lan, private or testnet")
	f.StringSliceVar(&o.listen, "listen", nil, "`multiaddresses` to listen on")
	f.StringSliceVar(&o.bootstrap, "bootstrap", nil, "full `multiaddresses` of peers to meet first")
	f.StringVar(&o.api, "api-listen", "", "`address` of the API, such as 127.0.0.1:5101")
	f.StringVar(&o.gateway, "gateway-listen", "", "`address` of the gateway, such as 127.0.0.1:8180")
	f.StringVar(&o.level, "log-level", "", "debug, info, warn or error; and of a part, as in info,dht=debug")
	return cmd
}

// apply puts the flags over cfg.
func (o daemonFlags) apply(cfg node.Config) (node.Config, error) {
	for _, f := range []struct {
		from string
		to   *string
	}{
		{o.profile, &cfg.Network.Profile},
		{o.api, &cfg.API.Listen},
		{o.gateway, &cfg.Gateway.Listen},
		{o.level, &cfg.Log.Level},
	} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	if len(o.listen) > 0 {
		cfg.Network.Listen = o.listen
	}
	if len(o.bootstrap) > 0 {
		cfg.Network.Bootstrap = o.bootstrap
	}
	return cfg, cfg.Validate()
}

// settle makes the home if it is not there, and gives its configuration.
func (p *program) settle(o daemonFlags) (home node.Home, cfg node.Config, err error) {
	if home, err = p.homeDirs(); err != nil {
		return home, cfg, err
	}
	if cfg, err = node.LoadConfig(home.Config); err != nil {
		return home, cfg, err
	}
	if cfg, err = o.apply(cfg); err != nil {
		return home, cfg, err
	}
	first := !home.Exists()
	fresh := node.DefaultConfig()
	if _, err := os.Stat(home.Config); errors.Is(err, fs.ErrNotExist) && first {
		if fresh, err = freePorts(fresh, cfg); err != nil {
			return home, cfg, err
		}
	}
	if err := node.Create(home, fresh); err != nil {
		return home, cfg, err
	}
	if !first {
		return home, cfg, nil
	}
	p.note("made a home: configuration %s, data %s, state %s", home.Config, home.Data, home.State)
	if cfg, err = node.LoadConfig(home.Config); err != nil {
		return home, cfg, err
	}
	cfg, err = o.apply(cfg)
	return home, cfg, err
}

// daemon runs a peer until ctx is done.
func (p *program) daemon(ctx context.Context, o daemonFlags) error {
	home, cfg, err := p.settle(o)
	if err != nil {
		return err
	}
	log, end, err := p.logger(cfg.Log)
	if err != nil {
		return err
	}
	defer end()
	done := make(chan error, 1)
	go func() { done <- p.serve(ctx, home, cfg, log) }() // ends with ctx, or this process does
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(stopTime):
		return errors.Join(errors.New("daemon: did not stop in time; nothing that was put is lost"), ignoreMissing(os.Remove(home.APIAddrFile())))
	}
}

// ready is what a daemon says of itself, as lines of JSON if asked for.
type ready struct {
	Type    string `json:"type"`  // status
	State   string `json:"state"` // starting, then alone or ready
	ID      string `json:"id"`
	API     string `json:"api"`
	Gateway string `json:"gateway,omitempty"`
	Page    string `json:"page,omitempty"` // opens the page once, within api.CodeLife
	Home    string `json:"home"`
}

// say says what a daemon has to say.
func (p *program) say(r ready) {
	switch {
	case p.json:
		writeJSON(p.out, r)
	case r.State == "starting":
		fmt.Fprintf(p.out, "peer     %s\napi      %s\n", r.ID, r.API)
		if r.Gateway != "" {
			fmt.Fprintf(p.out, "gateway  %s/ipfs/CID\n", r.Gateway)
		}
		fmt.Fprintf(p.out, "page     %s\n", r.Page)
	case r.State == "alone":
		fmt.Fprintln(p.out, "ready: no other peer yet; what is put is kept here only")
	default:
		fmt.Fprintln(p.out, "ready")
	}
}

// metrics are the counters of n, of this process and of the gateway.
func metrics(n *node.Node) (*prometheus.Registry, http.Handler) {
	reg := n.Metrics()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg, promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// faces makes the two handlers of n.
func faces(n *node.Node, srv *web.Server, home node.Home, cfg node.Config, door *api.Door, done <-chan struct{}, log logger) (apiFace, gatewayFace http.Handler, kubo *rpc.Server, err error) {
	token, err := readLine(home.TokenFile())
	if err != nil {
		return nil, nil, nil, fmt.Errorf("daemon: token: %w", err)
	}
	reg, counted := metrics(n)
	gatewayFace = web.Gateway(n.BlockService(), web.GatewayConfig{
		Hosts: cfg.Gateway.Hosts, Subdomains: cfg.Gateway.Subdomains, Sites: cfg.Gateway.Sites, Proxies: cfg.Gateway.TrustedProxies(),
		Names: n.NameSystem(), Records: n.NameRecords(), Routing: n.Routing(), Metrics: reg, FirstByte: n.FirstByte,
		Denied: n.Denied, DeniedPath: n.DeniedPath, Copies: n.Copies, Asked: n.Asked,
		Caught: func(v any) { n.Caught(node.PartGateway); log.With("part", "web").Error("request panicked", "panic", v) },
	})
	shown := &face{n, srv.APIURL(), srv.GatewayURL()}
	kubo = rpc.New(shown, rpc.Config{Dir: home.Requests(), Log: log.With("part", "api")})
	apiFace = api.New(shown, api.Config{
		Token: token, Hosts: cfg.API.Hosts, OpenMetrics: cfg.API.OpenMetrics, Metrics: counted,
		Page: web.Page(srv.GatewayURL()), Door: door, Lab: labOf(n), Mounts: mounts(kubo, cfg.API),
		Done: done, Caught: func(any) { n.Caught(node.PartAPI) }, Log: log.With("part", "api"),
	})
	return apiFace, gatewayFace, kubo, nil
}

// serve opens the peer and its faces, and runs them until ctx is done.
func (p *program) serve(ctx context.Context, home node.Home, cfg node.Config, log logger) (err error) {
	n, err := node.Open(ctx, home, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	srv, err := web.Listen(web.Config{API: cfg.API.Listen, Gateway: cfg.Gateway.Listen, NoGateway: !cfg.Gateway.Enabled, Proxies: cfg.Gateway.TrustedProxies(), Log: log.With("part", "web")})
	if err != nil {
		return err
	}
	defer srv.Close()
	g, ctx := errgroup.WithContext(ctx)
	door := &api.Door{}
	apiFace, gatewayFace, kubo, err := faces(n, srv, home, cfg, door, ctx.Done(), log)
	if err != nil {
		return err
	}
	if err := home.WriteAPIAddr(srv.APIURL()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreMissing(os.Remove(home.APIAddrFile()))) }()
	g.Go(func() error { return n.Run(ctx) })
	g.Go(func() error { return kubo.Run(ctx) })
	g.Go(func() error { return srv.Run(ctx, apiFace, gatewayFace) })
	g.Go(func() error { return supervised(ctx, srv.APIURL()) })
	g.Go(func() error {
		code, _ := door.NewCode()
		page := srv.APIURL() + api.SigninPath(code)
		r := ready{"status", "starting", n.Status().ID.String(), srv.APIURL(), srv.GatewayURL(), page, filepath.Dir(home.Data)}
		p.say(r)
		r.Page = "" // was said
		if r.State = settled(ctx, n); r.State != "" {
			p.say(r)
		}
		return nil
	})
	log.Info("daemon started", "pid", os.Getpid(), "version", node.Version, "home", home.Data)
	err = g.Wait()
	log.Info("daemon stopping")
	return err
}

// settled waits until n knows whether it is alone; "" when ctx is done before.
func settled(ctx context.Context, n *node.Node) string {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s := n.State(); s == "alone" || s == "ready" {
			return s
		}
		select {
		case <-ctx.Done():
			return ""
		case <-tick.C:
		}
	}
}
