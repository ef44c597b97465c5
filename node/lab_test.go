package node_test

import (
	"testing"

	"github.com/cairn-network/cairn/node"
)

// What a testnet is measured and slowed with is nowhere else.
func TestOnlyAPeerOfATestnetHasALine(t *testing.T) {
	cfg := node.DefaultConfig()
	cfg.Network.Name, cfg.Network.Listen = "real", []string{"/ip4/127.0.0.1/tcp/0"}
	for _, profile := range []string{node.ProfilePublic, node.ProfileLAN, node.ProfilePrivate} {
		cfg.Network.Profile = profile
		if n := open(t, node.HomeAt(t.TempDir()), cfg); n.Line() != nil {
			t.Errorf("a peer of profile %s has a line", profile)
		}
	}
	a := real(t)
	b := real(t, a.Status().Addrs[0])
	if a.Line() == nil || b.Line() == nil {
		t.Fatal("a peer of a testnet has no line")
	}
	until(t, "the two are connected", func() bool { return len(b.Peers()) == 1 })
	in0, _ := a.Line().Traffic()
	streams := func() float64 { return value(t, a, "cairn_net_bytes_total", "in") }
	before, out := streams(), value(t, b, "cairn_net_bytes_total", "out")
	const size = 3 << 20
	took, err := b.Flow(t.Context(), a.Status().ID.String(), size)
	if err != nil || took <= 0 {
		t.Fatal(took, err)
	}
	if in, _ := a.Line().Traffic(); in-in0 < size || in-in0 > size*11/10 {
		t.Errorf("a flow of %d bytes was %d on the line", size, in-in0)
	}
	if n := streams() - before; n < size || n > size*11/10 {
		t.Errorf("a flow of %d bytes was %.0f of the streams in", size, n)
	}
	if n := value(t, b, "cairn_net_bytes_total", "out") - out; n < size || n > size*11/10 {
		t.Errorf("a flow of %d bytes was %.0f of the streams out", size, n)
	}
	if _, err := b.Flow(t.Context(), "nobody", size); err == nil {
		t.Error("a flow to nobody")
	}
}
