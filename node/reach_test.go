package node_test

import (
	"testing"

	"github.com/cairn-network/cairn/node"
)

// Only in a network of strangers is it asked whether strangers can call.
func TestOnlyThePublicProfileAsksWhetherItCanBeCalled(t *testing.T) {
	for profile, want := range map[string]string{node.ProfilePublic: "unknown", node.ProfileTestnet: ""} {
		cfg := node.DefaultConfig()
		cfg.Network.Profile, cfg.Network.Name = profile, "reach"
		cfg.Network.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
		n := open(t, node.HomeAt(t.TempDir()), cfg)
		if got := n.Status().Reach; got != want {
			t.Errorf("%s: got %q, want %q", profile, got, want)
		}
	}
}

func TestLayoutIsThatOfTheHome(t *testing.T) {
	h := node.HomeAt(t.TempDir())
	if has, writes := h.Layout(); has != 0 || writes < 1 {
		t.Errorf("before there is a home: %d, %d", has, writes)
	}
	if err := node.Create(h, node.DefaultConfig()); err != nil {
		t.Fatal(err)
	}
	if has, writes := h.Layout(); has != writes {
		t.Errorf("of a new home: %d, want %d", has, writes)
	}
}
