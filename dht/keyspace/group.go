package keyspace

import "net/netip"

// Group is the part of the internet in which a peer is seen: what belongs to one owner
// more often than not, and what goes down together. The zero value is no group: of a peer
// that was seen nowhere, or at an address that says nothing. Groups compare with ==.
type Group struct {
	Net  netip.Prefix // /24, or /48 of IPv6
	Wide netip.Prefix // /16, or /32 of IPv6; Net lies in it
}

// The most holders of one block that count from one net and from one wide net, and how
// many of the members closest to the block are looked at.
const (
	perNet  = 1
	perWide = 2
	Outward = 64
)

var shared = netip.MustParsePrefix("100.64.0.0/10") // between a provider and its customers

// GroupOf gives the group of an address: none for one that is not of the public internet.
func GroupOf(a netip.Addr) Group {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || shared.Contains(a) {
		return Group{}
	}
	net, wide := 24, 16
	if a.Is6() {
		net, wide = 48, 32
	}
	return Group{netip.PrefixFrom(a, net).Masked(), netip.PrefixFrom(a, wide).Masked()}
}

// Spread counts members from the nearest outward, so that of one net and of one wide net
// only so many count. Its zero value has counted nobody.
type Spread struct {
	in    map[netip.Prefix]int
	count int
}

// Counted is how many members count.
func (s *Spread) Counted() int { return s.count }

// Fits reports whether a member of g would count as the next one. One of no group always does.
func (s *Spread) Fits(g Group) bool {
	return g == Group{} || s.in[g.Net] < perNet && s.in[g.Wide] < perWide
}

// Count counts a member of g if it fits, and reports whether it did.
func (s *Spread) Count(g Group) bool {
	if !s.Fits(g) {
		return false
	}
	s.count++
	if g != (Group{}) {
		if s.in == nil {
			s.in = map[netip.Prefix]int{}
		}
		s.in[g.Net]++
		s.in[g.Wide]++
	}
	return true
}

// Holders gives the places of a key's holders among members in the order of their
// closeness to it, of which groups are the groups: the first r, whatever their groups, and
// after them those that count until r count, within the 64 nearest. So it only adds: who
// knows no groups names the first r of the same holders.
//
// Counting from the nearest is the greedy choice in a matroid (the nets lie in the wide
// nets, and these beside each other), so that one member more adds nobody but itself and
// takes the place of three at most.
func Holders(groups []Group, r int) (at []int) {
	var s Spread
	for i, g := range groups[:min(len(groups), max(Outward, r))] {
		if i >= r && s.Counted() >= r {
			break
		}
		if counts := s.Count(g); counts || i < r {
			at = append(at, i)
		}
	}
	return at
}
