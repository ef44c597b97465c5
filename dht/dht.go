// Package dht answers one question: which members are closest to a key? It wraps
// go-libp2p-kad-dht and knows nothing of blocks.
//
//	key → view (covered, fresh) | lookup → candidates → alive? → the closest
//
// A member is a peer that stores for others: it is in our DHT in server mode, so
// in our network, and speaks the protocol named in [Config.Member]. Only members
// that are alive are given: a candidate that is not connected is dialled first,
// because lookups return peers that are gone.
//
// [New] starts kad-dht, which runs goroutines of its own until [Router.Close];
// the Router's own are those of [Router.Run]. What it does not do: it keeps no
// values, only hints of who has what (provide.go), and it promises no peer's honesty.
package dht

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/amino"
	kbucket "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	mh "github.com/multiformats/go-multihash"
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

	Dial       time.Duration // to a private address, for one candidate; 0 is 1 s
	DialPublic time.Duration // to a public address; 0 is 10 s
	Lookup     time.Duration // for asking the network who is close; 0 is 2 Dial, or 2 DialPublic where not Private
	Coverage   time.Duration // how long a part of the keyspace counts as known; 0 is 10 min
	Grace      time.Duration // how long a lost member keeps its seat; 0 is 30 min
	Neighbours int           // closest members whose connections are kept; 0 is 10
	Retry      time.Duration // between two tries of the bootstrap peers while alone; 0 is 30 s
	Log        *slog.Logger  // nil discards
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
	def(&c.Grace, 30*time.Minute)
	def(&c.Retry, 30*time.Second)
	if c.Private {
		def(&c.Lookup, 2*c.Dial)
	}
	def(&c.Lookup, 2*c.DialPublic)
	if c.Neighbours == 0 {
		c.Neighbours = 10
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

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

	ready   chan struct{} // closed when warm
	changed chan struct{} // 1-buffered: members came or went
	gone    chan struct{} // 1-buffered: a member was lost, so a grace has begun

	mu      sync.Mutex
	state   State                // guarded by mu
	view    view                 // guarded by mu
	dials   map[peer.ID]*attempt // guarded by mu: dials under way, and those that failed lately
	hurried time.Time            // guarded by mu: until then no lookup is made, as one did not end in time
}

// attempt is one dial that several callers wait for.
type attempt struct {
	done chan struct{} // closed when it has ended
	end  time.Time     // guarded by Router.mu; when it failed
}

// New joins h to the DHT. Close the Router before h.
func New(h host.Host, cfg Config) (*Router, error) {
	cfg = cfg.withDefaults()
	records := &bounded{Batching: dssync.MutexWrap(ds.NewMapDatastore()), most: maxRecords}
	opts := []kad.Option{kad.ProtocolPrefix(cfg.prefix()), kad.BootstrapPeers(cfg.Bootstrap...),
		kad.DisableValues(), kad.Datastore(records)}
	if cfg.Private {
		opts = append(opts, kad.Mode(kad.ModeServer), kad.AddressFilter(nil))
	} else {
		opts = append(opts, kad.Mode(kad.ModeAuto),
			kad.RoutingTablePeerDiversityFilter(kad.NewRTPeerDiversityFilter(h, 2, 3)),
			kad.AddressFilter(func(as []ma.Multiaddr) []ma.Multiaddr { return ma.FilterAddrs(as, manet.IsPublicAddr) }))
	}
	d, err := kad.New(h, opts...)
	if err != nil {
		return nil, fmt.Errorf("dht: %w", err)
	}
	r := &Router{
		host: h, kad: d, cfg: cfg, self: h.ID(), state: Starting,
		ready: make(chan struct{}), changed: make(chan struct{}, 1), gone: make(chan struct{}, 1),
		view:  view{members: map[peer.ID]*member{}},
		dials: map[peer.ID]*attempt{},
	}
	r.view.meet(r.self)
	return r, nil
}

// Closest gives the n live members nearest to h, this peer among them when it is
// one of them, nearest first. exact says that no member of the network is closer
// than those given, as far as a fresh look at that part of the keyspace showed.
// It answers [ErrAlone] when this peer knows no other.
func (r *Router) Closest(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, exact bool, err error) {
	seats, exact, err := r.seats(ctx, h, n, false)
	for _, s := range seats {
		ids = append(ids, s.peer)
	}
	return ids, exact, err
}

// Seats is [Router.Closest] for those who repair: a member that was lost keeps its
// place until the grace has passed, so that a short absence moves nothing. alive[i]
// says whether ids[i] can be reached now.
func (r *Router) Seats(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, alive []bool, err error) {
	seats, _, err := r.seats(ctx, h, n, true)
	for _, s := range seats {
		ids, alive = append(ids, s.peer), append(alive, s.alive)
	}
	return ids, alive, err
}

// seat is a member's place near a key.
type seat struct {
	peer  peer.ID
	alive bool // false: lost, but not for longer than the grace
}

func (r *Router) seats(ctx context.Context, h mh.Multihash, n int, lost bool) ([]seat, bool, error) {
	key := keyspace.OfHash(h)
	candidates, exact, err := r.candidates(ctx, key, h, n)
	if err != nil {
		return nil, false, err
	}
	var seats []seat
	for len(candidates) > 0 && len(seats) < n {
		next := candidates[:min(len(candidates), n-len(seats))]
		candidates = candidates[len(next):]
		for i, ok := range r.alive(ctx, next) {
			switch {
			case ok:
				seats = append(seats, seat{next[i], true})
			case lost && r.inGrace(next[i]):
				seats = append(seats, seat{next[i], false})
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, false, fmt.Errorf("dht: closest to %s: %w", h.B58String(), err)
		}
	}
	return seats, exact && (len(seats) == n || len(candidates) == 0), nil
}

// hurry is how long the view must do after a lookup that did not end in time. Live
// connections keep it true near this peer, and the ends of others show.
const hurry = 10 * time.Second

// candidates gives the peers that may be the closest members, nearest first.
func (r *Router) candidates(ctx context.Context, key keyspace.Key, h mh.Multihash, n int) ([]peer.ID, bool, error) {
	r.mu.Lock()
	known, exact := r.view.closest(key, n, time.Now())
	hurried := time.Now().Before(r.hurried)
	r.mu.Unlock()
	if exact || hurried && len(known) > 1 {
		return known, exact, nil
	}
	limited, cancel := context.WithTimeout(ctx, r.cfg.Lookup)
	defer cancel()
	found, err := r.lookup(limited, key, string(h))
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := r.view.merge(key, found, n)
	switch {
	case err == nil:
		return ids, len(found) < r.kad.BucketSize() || r.view.covered(key, time.Now()), nil
	case ctx.Err() != nil || len(ids) <= 1: // nobody but this peer
		return nil, false, err
	case errors.Is(err, context.DeadlineExceeded): // somebody on the way hangs: for a while what is known must do
		r.hurried = time.Now().Add(hurry)
		return ids, false, nil
	case errors.Is(err, ErrAlone): // the table is cold, but connections are there
		return ids, false, nil
	}
	return nil, false, err
}

// lookup asks the network for the peers closest to key, and notes what part of
// the keyspace its answer shows whole. What it found before an error it gives too.
func (r *Router) lookup(ctx context.Context, key keyspace.Key, raw string) ([]peer.ID, error) {
	found, err := r.kad.GetClosestPeers(ctx, raw)
	if errors.Is(err, kbucket.ErrLookupFailure) || err == nil && len(found) == 0 {
		return nil, ErrAlone
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]keyspace.Key, len(found))
	for i, p := range found {
		r.view.found(p)
		keys[i] = keyspace.OfPeer(p)
	}
	if err != nil {
		return found, fmt.Errorf("dht: lookup: %w", err)
	}
	if r.state == Ready { // a cold table's answers look complete and are not
		r.view.coverage.Cover(key, keyspace.Seen(key, keys, r.kad.BucketSize()), time.Now().Add(r.cfg.Coverage))
	}
	return found, nil
}

// alive reports for each of ps whether it is a member and can be reached now.
func (r *Router) alive(ctx context.Context, ps []peer.ID) []bool {
	ok := make([]bool, len(ps))
	var wg sync.WaitGroup // ends with the dials, each of which has a deadline
	for i, p := range ps {
		if p == r.self {
			ok[i] = r.serves()
		} else if r.host.Network().Connectedness(p) == network.Connected {
			ok[i] = r.isMember(p)
		} else {
			wg.Go(func() { ok[i] = r.dial(ctx, p) && r.isMember(p) })
		}
	}
	wg.Wait()
	return ok
}

// serves reports whether this peer is itself a member.
func (r *Router) serves() bool { return r.cfg.Private || r.kad.Mode() == kad.ModeServer }

func (r *Router) isMember(p peer.ID) bool {
	speaks, err := r.host.Peerstore().SupportsProtocols(p, r.wanted()...)
	return err == nil && len(speaks) == len(r.wanted())
}

// wanted is what identify must report of a member.
func (r *Router) wanted() []protocol.ID {
	w := []protocol.ID{r.cfg.prefix() + "/kad/1.0.0"}
	if r.cfg.Member != "" {
		w = append(w, r.cfg.Member)
	}
	return w
}

// failedFor is how long a failed dial stands for the next ones to the same peer.
const failedFor = 2 * time.Second

// dial connects to p within its deadline. Callers at the same time share a dial; when
// the one who dials gives up for reasons of its own, the next one dials.
func (r *Router) dial(ctx context.Context, p peer.ID) bool {
	for ctx.Err() == nil {
		r.mu.Lock()
		a := r.dials[p]
		if a == nil || !a.end.IsZero() && time.Since(a.end) > failedFor {
			a = &attempt{done: make(chan struct{})}
			r.dials[p] = a
			r.mu.Unlock()
			return r.try(ctx, p, a)
		}
		failed := !a.end.IsZero()
		r.mu.Unlock()
		if failed {
			return false
		}
		select {
		case <-a.done:
			if r.host.Network().Connectedness(p) == network.Connected {
				return true
			}
		case <-ctx.Done():
		}
	}
	return false
}

// try is one dial. A failure stands for a while, and counts as p being lost, unless
// it was ctx that ended.
func (r *Router) try(ctx context.Context, p peer.ID, a *attempt) bool {
	info := r.host.Peerstore().PeerInfo(p)
	limit := r.cfg.Dial
	for _, x := range info.Addrs {
		if manet.IsPublicAddr(x) {
			limit = r.cfg.DialPublic
		}
	}
	limited, cancel := context.WithTimeout(network.WithForceDirectDial(ctx, "candidate holder"), limit)
	defer cancel()
	err := r.host.Connect(limited, info)
	defer close(a.done)
	if r.ended(p, a, err == nil || ctx.Err() != nil) {
		return err == nil
	}
	r.lose(p)
	r.cfg.Log.Debug("candidate not reached", "peer", p, "err", err)
	return false
}

// ended enters how a dial ended, and gives back whether it says nothing against p.
func (r *Router) ended(p peer.ID, a *attempt, fine bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !fine {
		a.end = time.Now()
	} else if r.dials[p] == a {
		delete(r.dials, p)
	}
	return fine
}

func (r *Router) inGrace(p peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view.inGrace(p, time.Now(), r.cfg.Grace)
}

// Members gives the members that are connected now.
func (r *Router) Members() (ids []peer.ID) {
	for _, p := range r.host.Network().Peers() {
		if r.isMember(p) {
			ids = append(ids, p)
		}
	}
	return ids
}

// IsMember reports whether p is connected and stores for others.
func (r *Router) IsMember(p peer.ID) bool {
	return r.host.Network().Connectedness(p) == network.Connected && r.isMember(p)
}

// Changed gets a value when members came or went for good. It has one reader.
func (r *Router) Changed() <-chan struct{} { return r.changed }

func (r *Router) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Close leaves the DHT.
func (r *Router) Close() error { return r.kad.Close() }

// jitter spreads d over half to one and a half of itself.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }
