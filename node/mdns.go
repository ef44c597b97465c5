package node

import (
	"context"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"golang.org/x/sync/errgroup"
)

// On a LAN peers find each other by multicast DNS. Anybody there can answer, so a
// peer that is found is dialled and no more: to be a member it must speak as one.
const (
	foundMost = 32               // waiting to be dialled; more are found again
	foundAt   = 8                // dialled at a time
	foundTime = 10 * time.Second // for one dial
)

// mdnsService is the name under which the peers of c's network look for each
// other, or "" where they do not. Networks whose names differ only in dots may
// meet there, and find that they have nothing to say to each other.
func (c Config) mdnsService() string {
	if c.Network.Profile != ProfileLAN {
		return ""
	}
	name := strings.NewReplacer(".", "-", "_", "-").Replace(c.Network.Name)
	return "_cairn-" + name[:min(len(name), 40)] + "._udp" // a label has 63 bytes at most
}

// found takes what mDNS finds.
type found chan peer.AddrInfo

// HandlePeerFound is mdns.Notifee's; it must not wait.
func (f found) HandlePeerFound(p peer.AddrInfo) {
	select {
	case f <- p:
	default:
	}
}

// discover finds peers by mDNS until ctx is done.
func (n *Node) discover(ctx context.Context) error {
	service := n.cfg.mdnsService()
	if service == "" {
		return nil
	}
	peers := make(found, foundMost)
	s := mdns.NewMdnsService(n.host, service, peers)
	defer s.Close()
	if err := s.Start(); err != nil {
		n.log.Warn("peers on this LAN are not looked for", "err", err)
		return nil
	}
	var g errgroup.Group
	g.SetLimit(foundAt)
	for {
		select {
		case <-ctx.Done():
			return g.Wait()
		case p := <-peers:
			if p.ID == n.host.ID() || n.connected(p.ID) {
				continue
			}
			g.Go(func() error {
				ctx, cancel := context.WithTimeout(ctx, foundTime)
				defer cancel()
				err := n.host.Connect(ctx, p)
				n.log.Debug("peer found on this LAN", "peer", p.ID, "err", err)
				return nil
			})
		}
	}
}
