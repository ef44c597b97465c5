package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// shun breaks off the connections to a peer that is refused for what it sent. It may
// connect again; blocks are neither asked of it nor taken from it for d.
func (n *Node) shun(p peer.ID, d time.Duration) {
	n.log.Info("peer refused for wrong blocks or messages", "peer", p, "for", d)
	if err := n.host.Network().ClosePeer(p); err != nil {
		n.log.Debug("connection not closed", "peer", p, "err", err)
	}
}
