package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// maxPeers is the largest testnet, and maxBoot how many others a peer is told of.
const (
	maxPeers = 200
	maxBoot  = 32
)

// upFlags are what a testnet may be asked for.
type upFlags struct {
	n, replicas int
	noRepair    bool
}

func (p *program) upCmd(name *string) *cobra.Command {
	var o upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a testnet: real daemons, each with its own keys and storage",
		Long: `Start a testnet: real daemons, each with its own keys and storage, any of which
may be killed. It waits until they know each other. After a down without --purge the
same peers come back.`,
		Example: `  cairn testnet up
  cairn testnet up -n 20 --name big`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.n < 1 || o.n > maxPeers {
				return usagef("testnet up: %d peers: want 1 to %d", o.n, maxPeers)
			}
			if o.replicas < 1 || o.replicas > blocks.MaxReplicas {
				return usagef("testnet up: %d replicas: want 1 to %d", o.replicas, blocks.MaxReplicas)
			}
			dir, err := p.testnetDir()
			if err != nil {
				return err
			}
			unlock, err := lockTestnet(cmd.Context(), dir, *name)
			if err != nil {
				return err
			}
			defer unlock()
			limit := 30*time.Second + time.Duration(o.n)*500*time.Millisecond
			if cmd.Flags().Changed("timeout") && p.timeout > 0 {
				limit = p.timeout
			}
			return p.testnetUp(cmd.Context(), dir, *name, o, limit)
		},
	}
	cmd.Flags().IntVarP(&o.n, "peers", "n", 8, "`number` of peers")
	cmd.Flags().IntVar(&o.replicas, "replicas", 5, "`number` of copies that a put asks for")
	cmd.Flags().BoolVar(&o.noRepair, "no-repair", false, "do not make lost copies again: the control of an experiment")
	return cmd
}

// testnetUp makes or finds the peers, starts them and waits until they know each
// other. Where that fails it stops what it started.
func (p *program) testnetUp(ctx context.Context, parent, name string, o upFlags, limit time.Duration) error {
	began := time.Now()
	t, err := loadTestnet(parent, name)
	var none *noTestnetError
	switch {
	case errors.As(err, &none):
		if t, err = makeTestnet(filepath.Join(parent, name), name, o); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		if err := comesBack(t, o); err != nil {
			return err
		}
		p.note("Starting the same %d peers again, with what they keep", len(t.Peers))
	}
	t.Down = false
	if !p.json {
		fmt.Fprintf(p.err, "Starting %d peers on 127.0.0.1 … ", len(t.Peers))
	}
	all := make([]*member, len(t.Peers))
	for i := range t.Peers {
		all[i] = &t.Peers[i]
	}
	if err := p.launch(ctx, t, all, limit); err != nil {
		p.note("")
		t.Down = true
		return errors.Join(err, stopAll(context.WithoutCancel(ctx), t.Peers), t.save())
	}
	if p.json {
		writeJSON(p.out, t)
		return nil
	}
	p.note(" (%.1f s)", time.Since(began).Seconds())
	p.note("Each is a real `cairn daemon` with its own keys and storage in %s", t.Dir)
	p.note("Try:  cairn put --peer p0%s README.md", at(t))
	fmt.Fprintf(p.out, "ready: %d peers of testnet %s, gateway %s\n", len(t.Peers), t.Name, t.Peers[0].Gateway)
	return nil
}

// at is what must follow a peer's name to find it.
func at(t *testnet) string {
	if t.Name == "default" {
		return ""
	}
	return "@" + t.Name
}

// comesBack answers nil if t, which is there, may be started as o asks.
func comesBack(t *testnet, o upFlags) error {
	switch live := len(t.live()); {
	case live > 0:
		return fmt.Errorf("testnet %s is up already, %d of %d peers: `cairn testnet down` stops it", t.Name, live, len(t.Peers))
	case !t.Down:
		return fmt.Errorf("testnet %s was not taken down, and none of its peers runs: `cairn testnet down` clears it up", t.Name)
	case len(t.Peers) != o.n || t.Replicas != o.replicas || t.Repair == o.noRepair:
		return fmt.Errorf("testnet %s has the data of %d peers with %d replicas, repair %t: ask for the same, or `cairn testnet down --purge` first", t.Name, len(t.Peers), t.Replicas, t.Repair)
	}
	return nil
}

// makeTestnet makes the homes. Each peer is told of the others, so that any of
// them may be away when another starts.
func makeTestnet(dir, name string, o upFlags) (t *testnet, err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("testnet: %s holds something else already: remove it, or choose another --name", dir)
	}
	t = &testnet{
		Name: name, Dir: dir, Network: "testnet-" + name + "-" + strings.ToLower(crand.Text()[:8]),
		Replicas: o.replicas, Repair: !o.noRepair, Created: time.Now().UTC().Truncate(time.Second),
		Peers: make([]member, o.n),
	}
	k := newPicker(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	defer func() {
		err = errors.Join(err, k.release())
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := t.makePeers(k); err != nil {
		return nil, err
	}
	for i := range t.Peers {
		if err := node.Create(node.HomeAt(t.Peers[i].Home), t.config(i)); err != nil {
			return nil, err
		}
	}
	return t, t.save()
}

// makePeers makes the identities and finds the ports.
func (t *testnet) makePeers(k *picker) error {
	for i := range t.Peers {
		m := &t.Peers[i]
		m.Name = fmt.Sprintf("p%d", i)
		m.Home = filepath.Join(t.Dir, m.Name)
		home := node.HomeAt(m.Home)
		if err := os.MkdirAll(home.Data, 0o700); err != nil {
			return fmt.Errorf("testnet: %w", err)
		}
		key, err := node.CreateIdentity(home.KeyFile())
		if err != nil {
			return err
		}
		id, err := peer.IDFromPrivateKey(key)
		if err != nil {
			return fmt.Errorf("testnet: %w", err)
		}
		var ports [3]int
		for j := range ports {
			if ports[j], err = k.pick(); err != nil {
				return fmt.Errorf("testnet: %w", err)
			}
		}
		const usualGateway = 8180
		if i == 0 && k.take(usualGateway) {
			ports[2] = usualGateway
		}
		m.ID = id.String()
		m.Addr = fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", ports[0], id)
		m.API, m.Gateway = "http://"+local(ports[1]), "http://"+local(ports[2])
	}
	return nil
}

// config is the configuration of the peer i.
func (t *testnet) config(i int) node.Config {
	m, cfg := t.Peers[i], node.DefaultConfig()
	listen, _, _ := strings.Cut(m.Addr, "/p2p/")
	cfg.Network.Name, cfg.Network.Profile = t.Network, node.ProfileTestnet
	cfg.Network.Listen, cfg.Network.Bootstrap = []string{listen}, t.boot(i)
	cfg.Replica.R, cfg.Replica.Repair = t.Replicas, t.Repair
	cfg.API.Listen = strings.TrimPrefix(m.API, "http://")
	cfg.Gateway.Listen = strings.TrimPrefix(m.Gateway, "http://")
	return cfg
}

// boot are the addresses of the peers that the peer i is told of: all others, or
// in a large testnet some that are spread evenly from the next one on.
func (t *testnet) boot(i int) []string {
	n := len(t.Peers)
	step := 1
	if n > maxBoot {
		step = n / (maxBoot / 2)
	}
	var out []string
	for d := 1; d < n && len(out) < maxBoot; d += step {
		out = append(out, t.Peers[(i+d)%n].Addr)
	}
	slices.Sort(out)
	return out
}

// launch starts peers and waits until each is ready.
func (p *program) launch(ctx context.Context, t *testnet, peers []*member, limit time.Duration) error {
	for _, m := range peers {
		if err := m.start(); err != nil {
			return fmt.Errorf("testnet: start %s: %w", m.Name, err)
		}
	}
	if err := t.save(); err != nil {
		return err
	}
	live := len(t.awake())
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not ready within %s: %w", limit, context.DeadlineExceeded))
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range peers {
		g.Go(func() error {
			if err := m.ready(ctx, min(live-1, t.Replicas)); err != nil {
				return fmt.Errorf("testnet: %s: %w%s", m.Name, err, m.lastWords())
			}
			if !p.json {
				fmt.Fprintf(p.err, "✓ %s ", m.Name)
			}
			return nil
		})
	}
	return g.Wait()
}
