package host

import (
	"net/netip"

	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

// perIP is how many connections one address may have where nothing else is said.
const perIP = 8

// The limits of one peer's use of this one.
const (
	streamsPerPeer = 512      // both directions, all protocols
	memoryPerPeer  = 64 << 20 // bytes
)

// resources states what strangers may take of this process.
func resources(cfg Config) (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	limits.PeerBaseLimit.Streams = streamsPerPeer
	limits.PeerBaseLimit.StreamsInbound = streamsPerPeer
	limits.PeerBaseLimit.StreamsOutbound = streamsPerPeer
	limits.PeerBaseLimit.Memory = memoryPerPeer
	limits.ProtocolPeerBaseLimit.StreamsInbound = streamsPerPeer
	limits.ProtocolPeerBaseLimit.StreamsOutbound = streamsPerPeer
	limits.ProtocolPeerBaseLimit.Streams = streamsPerPeer
	n := cfg.PerIP
	if n == 0 {
		n = perIP
	}
	opts := []rcmgr.Option{
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: n, PrefixLength: 32}},
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: n, PrefixLength: 56}},
		),
	}
	if n > perIP { // a testnet: its peers share addresses, so the rate per address is theirs together
		loop := netip.MustParsePrefix("127.0.0.0/8")
		opts = append(opts,
			rcmgr.WithNetworkPrefixLimit([]rcmgr.NetworkPrefixLimit{{Network: loop, ConnCount: n}}, nil),
			rcmgr.WithConnRateLimiters(&rate.Limiter{}),
		)
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.AutoScale()), opts...)
}
