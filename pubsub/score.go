package pubsub

import (
	"time"

	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The scores at which a peer loses something. One invalid message costs 4, two
// 16, five 100 (the square of their number, times 4), and good conduct earns at
// most 10 beforehand: so one slip costs nothing, and the fifth ends it.
const (
	noGossip  = -10 // we tell it no message ids and answer no requests for messages
	noPublish = -40 // our own updates are not sent to it
	graylist  = -80 // nothing it sends is read

	invalidWeight = -4
	goodConduct   = 10
)

// scoring is how peers are judged. Nothing in it punishes silence: updates are
// rare, and a topic without any is no fault of its peers. local says that many
// peers share an address honestly.
func scoring(topic string, local bool) (*gossip.PeerScoreParams, *gossip.PeerScoreThresholds) {
	hour := gossip.ScoreParameterDecay(time.Hour)
	p := &gossip.PeerScoreParams{
		Topics: map[string]*gossip.TopicScoreParams{topic: {
			TopicWeight: 1,

			// A little for staying, more for being first with what is valid.
			TimeInMeshWeight:             0.01,
			TimeInMeshQuantum:            time.Second,
			TimeInMeshCap:                100,
			FirstMessageDeliveriesWeight: 0.5,
			FirstMessageDeliveriesDecay:  hour,
			FirstMessageDeliveriesCap:    20,

			InvalidMessageDeliveriesWeight: invalidWeight,
			InvalidMessageDeliveriesDecay:  hour,
		}},
		TopicScoreCap:    goodConduct,
		AppSpecificScore: func(peer.ID) float64 { return 0 },

		// From the eleventh peer of one address on. Relayed peers have no address here.
		IPColocationFactorWeight:    -5,
		IPColocationFactorThreshold: 10,

		// Grafts too soon, promises of messages that do not come.
		BehaviourPenaltyWeight:    -10,
		BehaviourPenaltyThreshold: 6,
		BehaviourPenaltyDecay:     hour,

		DecayInterval: gossip.DefaultDecayInterval,
		DecayToZero:   gossip.DefaultDecayToZero,
		RetainScore:   6 * time.Hour, // so that leaving and coming back clears nobody
	}
	if local {
		p.IPColocationFactorWeight = 0
	}
	return p, &gossip.PeerScoreThresholds{
		GossipThreshold:   noGossip,
		PublishThreshold:  noPublish,
		GraylistThreshold: graylist,
		AcceptPXThreshold: 1000, // out of reach: we take no peers from strangers

		// Above what staying alone earns: a mesh that only stays is joined by one that delivers.
		OpportunisticGraftThreshold: 2,
	}
}
