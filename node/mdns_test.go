package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node"
)

func TestOnlyALANIsSearchedByMulticast(t *testing.T) {
	for profile, want := range map[string]string{
		node.ProfileLAN: "_cairn-my-net-1._udp", node.ProfilePublic: "", node.ProfilePrivate: "", node.ProfileTestnet: "",
	} {
		cfg := node.DefaultConfig()
		cfg.Network.Profile, cfg.Network.Name = profile, "my.net_1"
		if got := node.MDNSService(cfg); got != want {
			t.Errorf("%s: service %q, want %q", profile, got, want)
		}
	}
	cfg := node.DefaultConfig()
	cfg.Network.Name = strings.Repeat("n", 64)
	if label, _, _ := strings.Cut(node.MDNSService(cfg), "."); len(label) > 63 {
		t.Errorf("a label of %d bytes", len(label))
	}
}

// multicasts counts the sockets of this process on the port of mDNS.
func multicasts(t *testing.T) (n int) {
	t.Helper()
	own := map[string]bool{}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(fds) == 0 {
		t.Skip("SKIP: the sockets of a process are looked up in /proc")
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil {
			own[to] = true
		}
	}
	for _, table := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue // no such family here
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", 5353)) && own["socket:["+f[9]+"]"] {
				n++
			}
		}
	}
	return n
}

// lan is a peer on loopback that searches its LAN.
func lan(name string) node.Config {
	cfg := private()
	cfg.Network.Profile, cfg.Network.Name = node.ProfileLAN, name
	return cfg
}

func TestElsewhereNoMulticastSocketIsOpened(t *testing.T) {
	testnet := private()
	testnet.Network.Profile = node.ProfileTestnet
	for _, cfg := range []node.Config{private(), testnet} {
		once(t, node.HomeAt(t.TempDir()), cfg, func(n *node.Node) {
			until(t, "being alone", func() bool { return n.State() == "alone" })
			if got := multicasts(t); got != 0 {
				t.Errorf("%s: %d sockets on port 5353", cfg.Network.Profile, got)
			}
		})
	}
}

// Two peers that were told of nobody meet; a third of another network does not.
// Where it works it is the control of the test above.
func TestPeersOnALANFindEachOther(t *testing.T) {
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	a := open(t, node.HomeAt(t.TempDir()), lan(name))
	b := open(t, node.HomeAt(t.TempDir()), lan(name))
	c := open(t, node.HomeAt(t.TempDir()), lan(name+"x"))
	for end := time.Now().Add(10 * time.Second); len(a.Peers()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Skip("SKIP: multicast does not reach this machine's own sockets here")
		}
	}
	until(t, "two peers that know each other", func() bool { return a.State() == "ready" && b.State() == "ready" })
	if len(c.Peers()) != 0 {
		t.Errorf("another network's peer met %v", c.Peers())
	}
}
