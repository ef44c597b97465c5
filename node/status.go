package node

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/cairn-network/cairn/pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Status is one look at a peer, the same for the command line, the API and the page.
type Status struct {
	ID        peer.ID
	Agent     string
	Network   string
	Profile   string
	State     string   // starting, alone, warming or ready
	Addrs     []string // with /p2p/ and the id
	Reach     string   // whether strangers can call it: yes, no or unknown; "" where that is not asked
	Connected int      // peers
	Held      int64    // blocks under a lease here
	Repaired  int64    // copies this peer's repair has made since the start
	Started   time.Time
}

// Status looks at n.
func (n *Node) Status() Status {
	s := Status{
		ID: n.host.ID(), Agent: Agent, Network: n.cfg.Network.Name, Profile: n.cfg.Network.Profile,
		State: string(n.router.State()), Connected: len(n.host.Network().Peers()),
		Held: n.ledger.Count(), Repaired: n.set.Repaired().Blocks, Started: n.began, Addrs: []string{},
		Reach: n.reach(),
	}
	for _, a := range n.host.Addrs() {
		s.Addrs = append(s.Addrs, a.String()+"/p2p/"+s.ID.String())
	}
	return s
}

// reach is what AutoNAT has found out about the public addresses of n. Only a network of
// strangers asks: elsewhere addresses are private on purpose.
func (n *Node) reach() string {
	h, ok := n.host.(interface {
		ConfirmedAddrs() (reachable, unreachable, unknown []ma.Multiaddr)
	})
	if !ok || n.cfg.private() {
		return ""
	}
	switch yes, no, unknown := h.ConfirmedAddrs(); {
	case len(yes) > 0:
		return "yes"
	case len(no) > 0 && len(unknown) == 0:
		return "no"
	}
	return "unknown"
}

// State says how far n knows its network, at no cost: starting, alone, warming or ready.
func (n *Node) State() string { return string(n.router.State()) }

// PeerInfo is another peer that n is connected to.
type PeerInfo struct {
	ID      peer.ID
	Addrs   []string
	Agent   string
	Member  bool          // it stores for others, and answers
	Suspect bool          // it is a member that does not answer, or is about to stop
	Latency time.Duration // of a round trip, smoothed; 0 is not known
}

// Peers gives the connected peers, by id.
func (n *Node) Peers() []PeerInfo {
	out, suspect := []PeerInfo{}, n.router.Suspect()
	for _, p := range n.host.Network().Peers() {
		i := PeerInfo{ID: p, Member: n.router.IsMember(p), Suspect: slices.Contains(suspect, p), Latency: n.host.Peerstore().LatencyEWMA(p), Addrs: []string{}}
		if v, err := n.host.Peerstore().Get(p, "AgentVersion"); err == nil {
			i.Agent, _ = v.(string)
		}
		for _, c := range n.host.Network().ConnsToPeer(p) {
			i.Addrs = append(i.Addrs, c.RemoteMultiaddr().String())
		}
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b PeerInfo) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
	return out
}

// Updates yields the announcements heard from now on, until ctx is done.
func (n *Node) Updates(ctx context.Context) iter.Seq2[pubsub.Update, error] {
	return n.bus.Updates(ctx)
}
