// Package dht answers one question: which members are closest to a key? It wraps
// go-libp2p-kad-dht and knows nothing of blocks.
//
//	key → view (covered, fresh) | lookup → candidates → alive? → the closest
//
//	closest.go  the question, for one key         cover.go  for many at once
//	view.go     what is known without asking      watch.go  what the host sees of it
//	hello.go    who somebody is                   pulse.go  whether it still answers
//	message.go  the view protocol                 serve.go  its answers
//	brake.go    is it this peer that is cut off?  run.go    from an empty table to ready
//	group.go    where on the internet members are seen
//
// A member is a peer that stores for others: it is in our DHT in server mode, speaks
// the protocol named in [Config.Member], and has said hello as one of our network.
// Only members that are alive are given: a candidate that is not connected is dialled
// first, because lookups return peers that are gone. A member that misses its pings,
// though others cannot reach it either, or whose connection ends and is not made
// anew, is suspect: it is not given and not dialled for it, and keeps its seat until
// the grace is over. What others name is a hint until this peer has met it.
//
// [New] starts kad-dht, which runs goroutines of its own, and answers the view
// protocol on libp2p's, both until [Router.Close]; the Router's own are those of
// [Router.Run]. What it does not do: it
// relies on nothing that it keeps, hints of who has what (provide.go) and values for
// strangers (values.go), and it promises no peer's honesty.
package dht

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/amino"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// ErrAlone says that this peer knows no other.
var ErrAlone = errors.New("dht: no other peer is known")

// RecordLife is how long the peers of a network keep a record that somebody has a hash.
const RecordLife = amino.DefaultProvideValidity

// Config is what an operator may set. The zero value is for production on the
// main public network.
type Config struct {
	Network   string          // keeps networks apart; empty or "main" is the main one
	Bootstrap []peer.AddrInfo // dialled first, and again while alone
	Member    protocol.ID     // what a member speaks; empty: every DHT server is one
	Private   bool            // admit private and loopback addresses, no diversity filter, always a server

	Dial       time.Duration                   // to a private address, for one candidate; 0 is 1 s
	DialPublic time.Duration                   // to a public address; 0 is 10 s
	Lookup     time.Duration                   // for asking the network who is close; 0 is 2 Dial, or 2 DialPublic where not Private
	Coverage   time.Duration                   // how long a part of the keyspace counts as known; 0 is 10 min
	Ping       time.Duration                   // between two pings of a neighbour; 0 is 30 s
	Misses     int                             // unanswered pings until a member is suspect; 0 is 3
	Young      time.Duration                   // for which a peer calls itself young after its start; 0 is not at all
	Grace      time.Duration                   // how long a lost member keeps its seat; 0 is 30 min
	Neighbours int                             // closest members whose connections are kept; 0 is 10
	Retry      time.Duration                   // between two tries of the bootstrap peers while alone; 0 is 30 s
	Free       func() (free int64, known bool) // bytes that this peer would take, 0 or less is full; nil says nothing of it
	Values     map[string]record.Validator     // judges of the values that are kept for others, by namespace; nil: none are
	Log        *slog.Logger                    // nil discards
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.Dial, time.Second)
	def(&c.DialPublic, 10*time.Second)
	def(&c.Coverage, 10*time.Minute)
	def(&c.Ping, 30*time.Second)
	def(&c.Grace, 30*time.Minute)
	def(&c.Retry, 30*time.Second)
	if c.Private {
		def(&c.Lookup, 2*c.Dial)
	}
	def(&c.Lookup, 2*c.DialPublic)
	if c.Misses == 0 {
		c.Misses = 3
	}
	if c.Neighbours == 0 {
		c.Neighbours = 10
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// keep is how long a peer that was only named is remembered: longer than what it
// was named for is covered.
func (c Config) keep() time.Duration { return max(2*c.Coverage, c.Grace) }

// prefix is the name of the network's DHT, so that two networks never mix.
func (c Config) prefix() protocol.ID {
	if c.Network == "" || c.Network == "main" {
		return "/cairn"
	}
	return protocol.ID("/cairn/" + c.Network)
}

// Router finds members.
type Router struct {
	host host.Host
	kad  *kad.IpfsDHT
	cfg  Config
	self peer.ID

	lookups atomic.Int64  // made so far
	ready   chan struct{} // closed when warm
	changed chan struct{} // 1-buffered: members came or went
	gone    chan struct{} // 1-buffered: a member was lost, so a grace has begun
	pulse   chan struct{} // 1-buffered: whom to ping when has changed
	cut     chan struct{} // 1-buffered: this peer seems to be cut off
	parting atomic.Uint32 // flags of this peer's end

	began       time.Time
	incarnation uint64
	stop        func() // of the view protocol

	mu      sync.Mutex
	state   State                             // guarded by mu
	view    view                              // guarded by mu
	dials   map[peer.ID]*attempt              // guarded by mu: dials under way, and those that failed lately
	hellos  map[peer.ID]Hello                 // guarded by mu: of connected peers
	lost    map[peer.ID]*lostMember           // guarded by mu: who may be in another part of a parted network
	near    []peer.ID                         // guarded by mu: the neighbours, whose connections are protected
	wide    int                               // guarded by mu: keys that share so many bits share a lookup
	asking  map[keyspace.Prefix]chan struct{} // guarded by mu: parts being looked up; closed when it has ended
	hurried time.Time                         // guarded by mu: until then no lookup is made, as one did not end in time
}

// New joins h to the DHT. Close the Router before h.
func New(h host.Host, cfg Config) (*Router, error) {
	cfg = cfg.withDefaults()
	records := &bounded{Batching: dssync.MutexWrap(ds.NewMapDatastore()), most: maxRecords}
	opts := []kad.Option{kad.ProtocolPrefix(cfg.prefix()), kad.BootstrapPeers(cfg.Bootstrap...), kad.Datastore(records)}
	opts = append(opts, values(cfg.Values)...)
	if cfg.Private {
		opts = append(opts, kad.Mode(kad.ModeServer), kad.AddressFilter(nil))
	} else {
		opts = append(opts, kad.Mode(kad.ModeAuto),
			kad.RoutingTablePeerDiversityFilter(kad.NewRTPeerDiversityFilter(h, 2, 3)),
			kad.AddressFilter(func(as []ma.Multiaddr) []ma.Multiaddr { return ma.FilterAddrs(as, manet.IsPublicAddr) }))
	}
	r := &Router{
		host: h, cfg: cfg, self: h.ID(), state: Starting, began: time.Now(), incarnation: rand.Uint64(),
		lost: map[peer.ID]*lostMember{}, ready: make(chan struct{}), changed: make(chan struct{}, 1), gone: make(chan struct{}, 1),
		pulse: make(chan struct{}, 1), cut: make(chan struct{}, 1),
		view:  view{members: map[peer.ID]*member{}},
		dials: map[peer.ID]*attempt{}, hellos: map[peer.ID]Hello{}, asking: map[keyspace.Prefix]chan struct{}{},
	}
	var err error
	if r.kad, err = kad.New(h, opts...); err != nil {
		return nil, fmt.Errorf("dht: %w", err)
	}
	r.view.meet(r.self, time.Now())
	r.stop = r.serve()
	return r, nil
}

// serves reports whether this peer is itself a member: in a public network once it is known
// to be reachable. What mode kad-dht is in it does not say, only which one it was made with;
// but a server answers.
func (r *Router) serves() bool {
	return r.cfg.Private || slices.Contains(r.host.Mux().Protocols(), r.cfg.prefix()+"/kad/1.0.0")
}

func (r *Router) isMember(p peer.ID) bool {
	speaks, err := r.host.Peerstore().SupportsProtocols(p, r.wanted()...)
	return err == nil && len(speaks) == len(r.wanted())
}

// strange reports whether p has said what it speaks and is no member by that.
func (r *Router) strange(p peer.ID) bool {
	speaks, err := r.host.Peerstore().GetProtocols(p)
	return err == nil && len(speaks) > 0 && !r.isMember(p)
}

// wanted is what identify must report of a member.
func (r *Router) wanted() []protocol.ID {
	w := []protocol.ID{r.cfg.prefix() + "/kad/1.0.0", ViewProtocol}
	if r.cfg.Member != "" {
		w = append(w, r.cfg.Member)
	}
	return w
}

func (r *Router) inGrace(p peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view.inGrace(p, time.Now(), r.cfg.Grace)
}

// Members gives the members that are connected now and answer.
func (r *Router) Members() (ids []peer.ID) {
	for _, p := range r.host.Network().Peers() {
		if r.IsMember(p) {
			ids = append(ids, p)
		}
	}
	return ids
}

// IsMember reports whether p is connected, answers, and stores for others.
func (r *Router) IsMember(p peer.ID) bool {
	if r.host.Network().Connectedness(p) != network.Connected || !r.isMember(p) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.view.members[p]
	return m != nil && m.met && m.gone.IsZero()
}

// Neighbours gives the members nearest to this peer, nearest first, those in their
// grace too: the connections to them are kept.
func (r *Router) Neighbours() []peer.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.near)
}

// Suspect gives the members that do not answer, or have said that they stop, and are
// still in their grace.
func (r *Router) Suspect() (ids []peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, m := range r.view.members {
		if !m.gone.IsZero() {
			ids = append(ids, p)
		}
	}
	return ids
}

// Changed gets a value when a member came, is suspect, or went for good. It has one reader.
func (r *Router) Changed() <-chan struct{} { return r.changed }

func (r *Router) wake() { signal(r.changed) }

// Lookups is how often this Router has asked the network who is closest to a key.
func (r *Router) Lookups() int64 { return r.lookups.Load() }

// Close leaves the DHT.
func (r *Router) Close() error {
	r.stop()
	return r.kad.Close()
}

// jitter spreads d over half to one and a half of itself.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }
