package dht

import (
	"context"
	"net/netip"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	mh "github.com/multiformats/go-multihash"
)

// Group is the part of the internet in which the member p is seen: at the address from
// which it was last connected here, whatever it says of itself, so that who claims many
// addresses gains nothing. This peer's own is that of the addresses by which others reach
// it. A peer that was connected through a relay alone, or never, is of no group, and in a
// private network nobody is of one.
func (r *Router) Group(p peer.ID) keyspace.Group {
	if r.cfg.Private {
		return keyspace.Group{}
	}
	if p == r.self {
		return groupOf(r.host.Addrs())
	}
	r.mu.Lock()
	m := r.view.members[p]
	if m != nil && m.group != (keyspace.Group{}) {
		g := m.group
		r.mu.Unlock()
		return g
	}
	r.mu.Unlock()
	return r.observed(p)
}

// observed is the group of the addresses at the other ends of the connections with p.
func (r *Router) observed(p peer.ID) keyspace.Group {
	var addrs []ma.Multiaddr
	for _, c := range r.host.Network().ConnsToPeer(p) {
		addrs = append(addrs, c.RemoteMultiaddr())
	}
	return groupOf(addrs)
}

// groupOf is the group of public addresses of one peer, those through relays left out. Of
// several it is that of the lowest, and of any of IPv4 before IPv6: others that see the
// same peer at the same addresses come to the same.
func groupOf(addrs []ma.Multiaddr) keyspace.Group {
	var best netip.Addr
	for _, a := range addrs {
		if _, err := a.ValueForProtocol(ma.P_CIRCUIT); err == nil || !manet.IsPublicAddr(a) {
			continue
		}
		ip, err := manet.ToIP(a)
		if err != nil { // a name
			continue
		}
		if x, ok := netip.AddrFromSlice(ip); ok {
			if x = x.Unmap(); !best.IsValid() || x.Less(best) {
				best = x
			}
		}
	}
	return keyspace.GroupOf(best)
}

// place remembers in which group p is seen now, for when it is not connected.
func (r *Router) place(p peer.ID) {
	if r.cfg.Private {
		return
	}
	g := r.observed(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.view.members[p]; m != nil && g != (keyspace.Group{}) {
		m.group = g
	}
}

// Nearby gives up to n members nearest to h, nearest first, that this peer has met or heard
// of, those that are suspect among them. It asks nobody.
func (r *Router) Nearby(h mh.Multihash, n int) (ids []peer.ID) {
	serves := r.serves()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.view.nearest(keyspace.OfHash(h), n, func(m *member) bool { return !m.stranger && (m.id != r.self || serves) }) {
		ids = append(ids, m.id)
	}
	return ids
}

// Reach says of each of ps whether it is a member that can be reached now, and if not
// whether it has its seat still. Who is not connected is dialled, all at once.
func (r *Router) Reach(ctx context.Context, ps []peer.ID) (alive, seat []bool) {
	alive, seat = r.alive(ctx, ps), make([]bool, len(ps))
	for i, p := range ps {
		seat[i] = alive[i] || r.inGrace(p)
	}
	return alive, seat
}
