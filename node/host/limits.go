package host

import (
	"math"
	"net/netip"
	"time"

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

// The limits of a storm of connections. A peer that is here keeps what it has: who comes when
// there is no room is refused, and nobody is cut off for it.
const (
	perBlock  = 4                // times the connections of one address are those of an IPv4 /24
	burst     = 40               // connections of one address at once, open or not
	perSecond = 1                // and so many a second after that
	settling  = 2 * time.Second  // that a connection is not judged by how little it is used
	forget    = 10 * time.Second // after which an address that is quiet has its burst again
)

// What comes from these is this machine's own, such as a proxy.
var (
	self4 = netip.MustParsePrefix("127.0.0.1/32")
	self6 = netip.MustParsePrefix("::1/128")
)

// storm bounds the connections of whoever opens many: three quarters of them all may come
// from outside, so that a quarter is left for those that this peer opens.
func storm(high int, limits rcmgr.ConcreteLimitConfig) rcmgr.ConcreteLimitConfig {
	return rcmgr.PartialLimitConfig{System: rcmgr.ResourceLimits{
		Conns: rcmgr.LimitVal(high), ConnsInbound: rcmgr.LimitVal(high - high/4), ConnsOutbound: rcmgr.LimitVal(high),
	}}.Build(limits)
}

// rates are how fast connections may come, by address and by neighbourhood.
func rates() *rate.Limiter {
	one := rate.Limit{RPS: perSecond, Burst: burst}
	many := rate.Limit{RPS: perBlock * perSecond, Burst: perBlock * burst}
	return &rate.Limiter{NetworkPrefixLimits: []rate.PrefixLimit{{Prefix: self4}, {Prefix: self6}}, SubnetRateLimiter: rate.SubnetLimiter{
		IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: one}, {PrefixLength: 24, Limit: many}},
		IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: one}, {PrefixLength: 48, Limit: many}},
		GracePeriod:      forget,
	}}
}

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
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: n, PrefixLength: 32}, {ConnCount: perBlock * n, PrefixLength: 24}},
			[]rcmgr.ConnLimitPerSubnet{{ConnCount: n, PrefixLength: 56}, {ConnCount: perBlock * n, PrefixLength: 48}},
		),
	}
	all := limits.AutoScale()
	if n <= perIP {
		all = storm(cfg.ConnsHigh+cfg.ConnsHigh/4, all)
		own := func(a netip.Prefix) []rcmgr.NetworkPrefixLimit { // of the rest of loopback, which libp2p leaves out, nobody is
			return []rcmgr.NetworkPrefixLimit{{Network: a, ConnCount: math.MaxInt}}
		}
		opts = append(opts,
			rcmgr.WithNetworkPrefixLimit(own(self4), own(self6)),
			rcmgr.WithConnRateLimiters(rates()),
		)
	} else { // a testnet: its peers share addresses, so the rate per address is theirs together
		loop := netip.MustParsePrefix("127.0.0.0/8")
		opts = append(opts,
			rcmgr.WithNetworkPrefixLimit([]rcmgr.NetworkPrefixLimit{{Network: loop, ConnCount: n}}, nil),
			rcmgr.WithConnRateLimiters(&rate.Limiter{}),
		)
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(all), opts...)
}
