package node_test

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node"
)

// private is the configuration of a peer on loopback that is in no testnet.
func private(boot ...string) node.Config {
	cfg := node.DefaultConfig()
	cfg.Network.Profile, cfg.Network.Name = node.ProfilePrivate, "remember"
	cfg.Network.Listen, cfg.Network.Bootstrap = []string{"/ip4/127.0.0.1/tcp/0"}, boot
	return cfg
}

// once runs the peer of h until do has returned.
func once(t *testing.T, h node.Home, cfg node.Config, do func(*node.Node)) {
	t.Helper()
	if err := node.Create(h, cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, err := node.Open(ctx, h, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	do(n)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// A peer that was told of its network once finds it again by itself.
func TestARestartFindsTheNetworkWithoutBootstrap(t *testing.T) {
	other := open(t, node.HomeAt(t.TempDir()), private())
	h := node.HomeAt(t.TempDir())
	together := func(n *node.Node) {
		t.Helper()
		until(t, "two peers that know each other", func() bool { return n.State() == "ready" && len(n.Peers()) == 1 && n.Peers()[0].Member })
	}
	once(t, h, private(other.Status().Addrs...), together)
	data, err := os.ReadFile(h.PeersFile())
	if err != nil || !strings.Contains(string(data), other.Status().ID.String()) {
		t.Fatalf("remembered %q, %v", data, err)
	}
	if info, err := os.Stat(h.PeersFile()); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	once(t, h, private(), together)

	// The control: one that has forgotten is alone. So is one whose file is no such file.
	for name, forget := range map[string]func() error{
		"none":    func() error { return os.Remove(h.PeersFile()) },
		"garbage": func() error { return os.WriteFile(h.PeersFile(), []byte("{\"peers\":[{\"id\":7}]"), 0o600) },
	} {
		if err := forget(); err != nil {
			t.Fatal(err)
		}
		once(t, h, private(), func(n *node.Node) {
			until(t, "being alone with "+name, func() bool { return n.State() == "alone" })
			time.Sleep(100 * time.Millisecond)
			if len(n.Peers()) != 0 {
				t.Errorf("%s: met %v", name, n.Peers())
			}
		})
	}
}

// A testnet's peers come and go with it: none is remembered.
func TestATestnetRemembersNobody(t *testing.T) {
	other, h := real(t), node.HomeAt(t.TempDir())
	cfg := node.DefaultConfig()
	cfg.Network.Profile, cfg.Network.Name, cfg.Network.Bootstrap = node.ProfileTestnet, "real", other.Status().Addrs
	once(t, h, cfg, func(n *node.Node) {
		until(t, "two peers that know each other", func() bool { return n.State() == "ready" && len(n.Peers()) == 1 })
	})
	if _, err := os.Stat(h.PeersFile()); !os.IsNotExist(err) {
		t.Errorf("a testnet wrote %s: %v", h.PeersFile(), err)
	}
}
