package node_test

import (
	"testing"

	"github.com/cairn-network/cairn/node"
)

// The nets of holders are looked at in a public network, and where all peers are their
// owner's or stand in one place they are not.
func TestNetsMatterInAPublicNetworkAlone(t *testing.T) {
	for profile, want := range map[string]bool{
		node.ProfilePublic: true, node.ProfileLAN: false, node.ProfilePrivate: false, node.ProfileTestnet: false,
	} {
		c := node.DefaultConfig()
		c.Network.Profile = profile
		if got := node.NetsMatter(c); got != want {
			t.Errorf("%s: %v, want %v", profile, got, want)
		}
	}
}
