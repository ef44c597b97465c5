package pubsub

import (
	"strings"
	"sync"

	gossip "github.com/libp2p/go-libp2p-pubsub"
	rpc "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
)

// filter lets in the subscriptions of others to the topic of updates and, up to a number
// for each peer, to topics of records and of applications.
type filter struct {
	topic   string
	records bool
	apps    bool

	mu       sync.Mutex
	followed map[peer.ID]*followed // guarded by mu
}

// followed is what one peer is subscribed to, but for the topic of updates.
type followed struct {
	records map[string]struct{}
	apps    map[string]struct{}
}

var _ gossip.SubscriptionFilter = (*filter)(nil)

// CanSubscribe is gossip.SubscriptionFilter's.
func (f *filter) CanSubscribe(topic string) bool {
	return topic == f.topic || f.apps && forApps(topic) ||
		f.records && len(topic) <= maxTopic && strings.HasPrefix(topic, recordPrefix)
}

// FilterIncomingSubscriptions is gossip.SubscriptionFilter's.
func (f *filter) FilterIncomingSubscriptions(from peer.ID, subs []*rpc.RPC_SubOpts) ([]*rpc.RPC_SubOpts, error) {
	if len(subs) > maxSubscriptions {
		return nil, gossip.ErrTooManySubscriptions
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	in := gossip.FilterSubscriptions(subs, f.CanSubscribe)
	out := in[:0]
	for _, s := range in {
		if f.takeLocked(from, s.GetTopicid(), s.GetSubscribe()) {
			out = append(out, s)
		}
	}
	return out, nil
}

// takeLocked enters that from is subscribed to topic from now on, or is not, and says
// whether there was room for that.
func (f *filter) takeLocked(from peer.ID, topic string, subscribed bool) bool {
	if topic == f.topic {
		return true
	}
	of := f.followed[from]
	if of == nil {
		if !subscribed {
			return true
		}
		of = &followed{records: map[string]struct{}{}, apps: map[string]struct{}{}}
		f.followed[from] = of
	}
	mine, most := of.records, maxFollowed
	if forApps(topic) {
		mine, most = of.apps, maxTopics
	}
	if !subscribed {
		delete(mine, topic)
		return true
	}
	if _, has := mine[topic]; !has && len(mine) >= most {
		return false
	}
	mine[topic] = struct{}{}
	return true
}

// drop forgets what p, who has gone, was subscribed to.
func (f *filter) drop(p peer.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followed, p)
}
