package pubsub

import (
	"sync"

	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// mesh counts the peers in our mesh. Gossipsub tells of them only to a tracer.
// Only the topic of updates counts.
type mesh struct {
	topic string
	gone  func(peer.ID) // told of who has gone

	mu    sync.Mutex
	peers map[peer.ID]struct{} // guarded by mu
}

var _ gossip.RawTracer = (*mesh)(nil)

func (m *mesh) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.peers)
}

func (m *mesh) drop(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.peers, p)
}

func (m *mesh) Graft(p peer.ID, topic string) {
	if topic != m.topic {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peers[p] = struct{}{}
}

func (m *mesh) Prune(p peer.ID, topic string) {
	if topic == m.topic {
		m.drop(p)
	}
}

func (m *mesh) OnClosedOutboundStream(p peer.ID) {
	m.drop(p)
	m.gone(p)
}

// What else a tracer is told is of no use here.

func (m *mesh) OnNewOutboundStream(peer.ID, protocol.ID) {}
func (m *mesh) Join(string)                              {}
func (m *mesh) Leave(string)                             {}
func (m *mesh) ValidateMessage(*gossip.Message)          {}
func (m *mesh) DeliverMessage(*gossip.Message)           {}
func (m *mesh) RejectMessage(*gossip.Message, string)    {}
func (m *mesh) DuplicateMessage(*gossip.Message)         {}
func (m *mesh) ThrottlePeer(peer.ID)                     {}
func (m *mesh) RecvRPC(*gossip.RPC)                      {}
func (m *mesh) SendRPC(*gossip.RPC, peer.ID)             {}
func (m *mesh) DropRPC(*gossip.RPC, peer.ID)             {}
func (m *mesh) UndeliverableMessage(*gossip.Message)     {}
