package node

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/cairn-network/cairn/pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Topics of applications: who listens to one is found as who has a block is, by a record in the
// DHT, because only peers that listen pass its messages on.
const (
	meetEvery  = time.Minute      // between two looks for others who listen
	meetTime   = 10 * time.Second // for one look, and for one record
	meetEnough = 6                // others, beyond whom nobody is looked for
	meetSay    = 2 * time.Second  // that a message waits for a listener when none is known
)

// Say publishes data on a topic of an application, signed by this peer. When nobody is known
// to listen it looks for listeners first; that there is none is no error.
func (n *Node) Say(ctx context.Context, topic string, data []byte) error {
	if len(n.Listeners(topic)) == 0 {
		n.meeting(topic).greet(ctx)
	}
	return n.bus.Say(ctx, topic, data)
}

// Hear yields what is said on a topic of an application, until ctx is done, and meets others
// who listen to it as long as it is ranged over. See [pubsub.Bus.Hear].
func (n *Node) Hear(ctx context.Context, topic string) (iter.Seq2[pubsub.Message, error], error) {
	heard, err := n.bus.Hear(ctx, topic)
	if err != nil {
		return nil, err
	}
	return func(yield func(pubsub.Message, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var met sync.WaitGroup
		met.Go(func() { n.meeting(topic).run(ctx) }) // ends with ctx
		defer met.Wait()
		defer cancel()
		heard(yield)
	}, nil
}

// Heard are the topics of applications that somebody here listens to.
func (n *Node) Heard() []string { return n.bus.Topics() }

// Listeners are the connected peers that listen to topic; of "" all that gossip.
func (n *Node) Listeners(topic string) []peer.ID { return n.bus.Listeners(topic) }

// meeting is how those who listen to one topic find each other.
type meeting struct {
	key       mh.Multihash
	provide   func(ctx context.Context, h mh.Multihash) error
	providers func(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, error)
	connect   func(ctx context.Context, p peer.ID) error
	listeners func() int
	log       *slog.Logger
}

// meeting makes the meeting of topic. Its key is that of libp2p's pubsub discovery.
func (n *Node) meeting(topic string) *meeting {
	key, err := mh.Sum([]byte("floodsub:"+topic), mh.SHA2_256, -1)
	if err != nil {
		panic(err) // the function is there
	}
	return &meeting{
		key: key, provide: n.router.Provide, providers: n.router.Providers,
		connect:   func(ctx context.Context, p peer.ID) error { return n.host.Connect(ctx, n.router.Known(p)) },
		listeners: func() int { return len(n.bus.Listeners(topic)) }, log: n.log.With("part", "pubsub"),
	}
}

// run says that this peer listens and looks for others, until ctx is done.
func (m *meeting) run(ctx context.Context) {
	tick := time.NewTicker(meetEvery)
	defer tick.Stop()
	var said time.Time
	for {
		if said.IsZero() || time.Since(said) >= provideEvery {
			limited, cancel := context.WithTimeout(ctx, meetTime)
			if err := m.provide(limited, m.key); err == nil {
				said = time.Now()
			} else if ctx.Err() == nil {
				m.log.Debug("nobody is told who listens", "err", err)
			}
			cancel()
		}
		m.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// greet looks for listeners once, and waits a little for one.
func (m *meeting) greet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, meetSay)
	defer cancel()
	if m.look(ctx) == 0 {
		return
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for m.listeners() == 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look connects to peers on record that are not met yet, and says how many it reached.
func (m *meeting) look(ctx context.Context) (reached int) {
	if m.listeners() >= meetEnough {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, meetTime)
	defer cancel()
	ids, err := m.providers(ctx, m.key, 2*meetEnough)
	if err != nil {
		m.log.Debug("nobody is found who listens", "err", err)
	}
	for _, p := range ids {
		if m.listeners() >= meetEnough || ctx.Err() != nil {
			break
		}
		if err := m.connect(ctx, p); err != nil {
			m.log.Debug("who listens is not reached", "peer", p, "err", err)
			continue
		}
		reached++
	}
	return reached
}
