package pubsub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync/atomic"
	"time"

	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// ErrClosed says that the bus has been closed.
var ErrClosed = errors.New("pubsub: closed")

const (
	maxSubscriptions = 100 // in one message of a peer, which says all of them when it connects
	queue            = 256 // messages that wait for validation; more are dropped without blame
)

// Config says how a bus works. The zero value is production.
type Config struct {
	// Network is the name of the network, 1 to 63 letters, digits, dots, dashes
	// or underscores. Updates do not cross from one network to another. Empty means "main".
	Network string
	// Local is for loopback and private networks: many peers on one address are no offence.
	Local bool
	// MaxMessage is the largest message in bytes. It is the same on all peers of a
	// network, or the larger messages of some count as offences with others. 0 means 16 KiB.
	MaxMessage int
	// Life is how long after it was published an update may still be heard. 0 means
	// one hour, which forgives that much of a listener's clock; [MaxLife] is the most.
	Life time.Duration
	// Record judges records, see [Bus.Follow]. nil carries none.
	Record RecordJudge
	// Topics says that topics of applications are carried, see [Bus.Hear].
	Topics bool
	// Log is told what was refused and why, at debug. nil means nobody is.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Network = cmp.Or(c.Network, "main")
	c.MaxMessage = cmp.Or(c.MaxMessage, 16<<10)
	c.Life = cmp.Or(c.Life, time.Hour)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

var networkName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)

// Topic is the topic on which the updates of a network go.
func Topic(network string) string { return "/cairn/" + network + "/updates/1" }

// Bus sends and hears updates. It is safe for concurrent use.
type Bus struct {
	cfg   Config
	key   crypto.PrivKey
	self  peer.ID
	topic *gossip.Topic
	sub   *gossip.Subscription

	gossip  *gossip.PubSub
	subs    *filter
	records joined

	judge *validator
	hears *readers[Update]
	apps  apps
	mesh  mesh
	stop  context.CancelFunc
	done  <-chan struct{} // closed when gossipsub has been told to end

	turn chan struct{} // holds one: who may publish; what follows is guarded by it
	last uint64        // sequence of our latest update
	pace pace

	heard, rejected, ignored, panics atomic.Uint64
}

// New joins the updates of a network in the name of key, which must be an
// Ed25519 key. The bus lives until ctx is done or Close is called.
func New(ctx context.Context, h host.Host, key crypto.PrivKey, cfg Config) (*Bus, error) {
	return open(ctx, h, key, cfg, (*Bus).validate)
}

// open is New with another validator and further options of gossipsub.
func open(ctx context.Context, h host.Host, key crypto.PrivKey, cfg Config,
	validate func(*Bus, context.Context, peer.ID, *gossip.Message) gossip.ValidationResult, more ...gossip.Option) (*Bus, error) {
	cfg = cfg.withDefaults()
	if !networkName.MatchString(cfg.Network) {
		return nil, fmt.Errorf("pubsub: %q is no name of a network", cfg.Network)
	}
	if cfg.Life < 0 || cfg.Life > MaxLife {
		return nil, fmt.Errorf("pubsub: life of %s, limit %s", cfg.Life, MaxLife)
	}
	if cfg.MaxMessage < 0 {
		return nil, fmt.Errorf("pubsub: message limit of %d bytes", cfg.MaxMessage)
	}
	self, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("pubsub: key: %w", err)
	}
	if _, err := authorKey(self); err != nil {
		return nil, fmt.Errorf("pubsub: key: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	b := &Bus{
		cfg:     cfg,
		key:     key,
		self:    self,
		judge:   newValidator(Topic(cfg.Network), cfg.MaxMessage),
		hears:   newReaders[Update](nil),
		apps:    newApps(),
		subs:    &filter{topic: Topic(cfg.Network), records: cfg.Record != nil, apps: cfg.Topics, followed: map[peer.ID]*followed{}},
		records: joined{all: map[string]*room{}},
		stop:    stop,
		done:    ctx.Done(),
		turn:    make(chan struct{}, 1),
	}
	b.mesh = mesh{topic: Topic(cfg.Network), gone: b.subs.drop, peers: map[peer.ID]struct{}{}}
	if err := b.join(ctx, h, guard(func(ctx context.Context, from peer.ID, m *gossip.Message) gossip.ValidationResult {
		return validate(b, ctx, from, m)
	}, b.caught), more); err != nil {
		stop()
		return nil, fmt.Errorf("pubsub: %w", err)
	}
	return b, nil
}

func (b *Bus) join(ctx context.Context, h host.Host, validate gossip.ValidatorEx, more []gossip.Option) error {
	topic := Topic(b.cfg.Network)
	ps, err := gossip.NewGossipSub(ctx, h, append(b.options(topic), more...)...)
	if err != nil {
		return err
	}
	b.gossip = ps
	// Inline and by one worker, so that the updates of one author stay in order.
	if err := ps.RegisterTopicValidator(topic, validate, gossip.WithValidatorInline(true)); err != nil {
		return fmt.Errorf("validator: %w", err)
	}
	if b.topic, err = ps.Join(topic); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	// The subscription keeps us in the mesh. Its filter sees each message once,
	// hands it to our readers and keeps it out of gossipsub's own buffer, which
	// would lose the newest when full.
	b.sub, err = b.topic.Subscribe(gossip.WithMessageFilter(func(m *gossip.Message) bool {
		b.deliver(m)
		return false
	}), gossip.WithBufferSize(1))
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

func (b *Bus) options(topic string) []gossip.Option {
	silent := slog.New(slog.DiscardHandler)
	log := silent
	if b.cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
		log = b.cfg.Log // the library's own words are for who debugs
	}
	room := 4 * b.cfg.MaxMessage // a packet carries several messages, or one and some control
	return []gossip.Option{
		gossip.WithLogger(log), // first: the others take it
		gossip.WithRPCLogger(silent),
		// Which topics are signed is for their validators to say, see plain and [Bus.Hear].
		gossip.WithMessageSignaturePolicy(gossip.LaxNoSign), // a strict one is for all topics
		gossip.WithNoAuthor(),
		gossip.WithMessageIdFn(messageID),
		gossip.WithAppSpecificRpcInspector(b.apps.inspect),
		gossip.WithMaxMessageSize(room),
		gossip.WithMaxControlMessageSize(room),
		gossip.WithValidateWorkers(1),
		gossip.WithValidateQueueSize(queue),
		gossip.WithSubscriptionFilter(b.subs),
		gossip.WithPeerScore(scoring(topic, b.cfg.Local)),
		gossip.WithFloodPublish(true),
		gossip.WithPeerExchange(false),
		gossip.WithRawTracer(&b.mesh),
	}
}

// Close leaves the topic and ends gossipsub. Readers get what they have not yet
// read and then ErrClosed. It may be called more than once.
func (b *Bus) Close() error {
	b.sub.Cancel()
	err := b.topic.Close()
	ended := b.ended()
	b.stop()
	if err != nil && !ended {
		return fmt.Errorf("pubsub: close: %w", err)
	}
	return nil
}

func (b *Bus) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// Peers is how many peers are in our mesh: those that messages come from and go
// to directly.
func (b *Bus) Peers() int { return b.mesh.len() }

// Counts is what a bus has seen since it was made.
type Counts struct {
	Heard    uint64 // updates given to readers, our own included
	Rejected uint64 // malformed or forged, and held against who sent them
	Ignored  uint64 // whole, but early, expired, repeated or too many
	Panics   uint64 // of our validator: each is a bug of ours, and counted as rejected
	Missed   uint64 // lost by readers that were too slow

	AppHeard  uint64 // messages of applications given to listeners, our own included
	AppExcess uint64 // of those dropped: a neighbour or an author said too many, or too much at once
	AppMissed uint64 // of those lost by listeners that were too slow
}

// Counts answers the counts of now.
func (b *Bus) Counts() Counts {
	return Counts{
		Heard:    b.heard.Load(),
		Rejected: b.rejected.Load(),
		Ignored:  b.ignored.Load(),
		Panics:   b.panics.Load(),

		AppHeard:  b.apps.heard.Load(),
		AppExcess: b.apps.excess.Load(),
		AppMissed: b.apps.missed(),
		Missed:    b.hears.lost(),
	}
}

// deliver hands a validated message to the readers. Gossipsub's one loop calls
// it, so it must not wait.
func (b *Bus) deliver(m *gossip.Message) {
	if u, ok := m.ValidatorData.(Update); ok {
		b.heard.Add(1)
		b.hears.tell(u)
	}
}
