package node

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Validate answers nil or a *[ConfigError] that names the first bad key.
func (c Config) Validate() error {
	oneOf := func(key, got string, allowed ...string) error {
		if slices.Contains(allowed, got) {
			return nil
		}
		return &ConfigError{Key: key, Reason: fmt.Sprintf("%q: want one of %s", got, strings.Join(allowed, ", "))}
	}
	within := func(key string, got, low, high int) error {
		if low <= got && got <= high {
			return nil
		}
		return &ConfigError{Key: key, Reason: fmt.Sprintf("%d: want %d to %d", got, low, high)}
	}
	_, high := c.Conns()
	return cmp.Or(
		nameError(c.Network.Name),
		oneOf("network.profile", c.Network.Profile, ProfilePublic, ProfileLAN, ProfilePrivate, ProfileTestnet),
		addrsError("network.listen", c.Network.Listen, false),
		addrsError("network.bootstrap", c.Network.Bootstrap, true),
		within("network.per_ip", c.Network.PerIP, -1, math.MaxInt32),
		within("network.conns_high", c.Network.ConnsHigh, 0, math.MaxInt32),
		within("network.conns_low", c.Network.ConnsLow, 0, high),
		within("store.quota", int(c.Store.Quota), 0, math.MaxInt),
		within("store.cache", int(c.Store.Cache), 0, math.MaxInt),
		within("replica.r", c.Replica.R, 1, blocks.MaxReplicas),
		within("replica.repair_rate", int(c.Replica.RepairRate), 0, math.MaxInt),
		expiresError(c.Replica.Expires),
		addrsError("routing.public_bootstrap", c.Routing.Bootstrap, true),
		hostPortError("api.listen", c.API.Listen),
		hostPortError("gateway.listen", c.Gateway.Listen),
		networksError("gateway.trusted_proxies", c.Gateway.Proxies),
		levelError(c.Log),
		oneOf("log.format", c.Log.Format, "text", "json"),
	)
}

func nameError(name string) error {
	bad := strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")
	if name == "" || len(name) > 64 || bad != "" {
		return &ConfigError{Key: "network.name", Reason: fmt.Sprintf("%q: want 1 to 64 of a-z, 0-9, -, _ and .", name)}
	}
	return nil
}

func addrsError(key string, addrs []string, full bool) error {
	for _, s := range addrs {
		a, err := ma.NewMultiaddr(s)
		if err == nil && full {
			_, err = peer.AddrInfoFromP2pAddr(a)
		}
		if err != nil {
			return &ConfigError{Key: key, Reason: fmt.Sprintf("%q: %s", s, err)}
		}
	}
	return nil
}

func expiresError(d Duration) error {
	if d < Duration(time.Minute) || time.Duration(d) > blocks.MaxLeaseTime {
		return &ConfigError{Key: "replica.expires", Reason: fmt.Sprintf("%s: want 1m to %s", d, Duration(blocks.MaxLeaseTime))}
	}
	return nil
}

func networksError(key string, networks []string) error {
	for _, s := range networks {
		if _, err := netip.ParsePrefix(s); err != nil {
			return &ConfigError{Key: key, Reason: fmt.Sprintf("%q: want a network, such as 192.0.2.0/24", s)}
		}
	}
	return nil
}

func hostPortError(key, s string) error {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return &ConfigError{Key: key, Reason: fmt.Sprintf("%q: want an address and a port, such as 127.0.0.1:5101", s)}
	}
	return nil
}
