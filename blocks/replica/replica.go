// Package replica keeps each block on the members closest to it.
//
//	place.go   the blocks of one put: windows → groups → quorum
//	spread.go  who holds a block where its closest are of few nets
//	group.go   a group of blocks: holders → one offer to each → acks → the next closest
//	fanout.go  the closest holder passes on: offer → its holders → acks by name → have you?
//	carry.go   what two parts of this peer would bring to one holder is brought once
//	jobs.go    the puts that are not done yet, and who failed them
//	repair.go  rounds: who came or went? → the blocks that this touches → examine
//	change.go  who came or went, seen from a few blocks that stand for all
//	later.go   the blocks that are to be examined at a time of their own
//	elect.go   examine: am I the one? → who lacks it? → a task, now or later
//	plan.go    who owes what to whom: pure
//	queue.go   tasks: fewest copies first → not too fast → give
//	rights.go  what is given is held under every lease that stands for it
//	brake.go   what waits while it is likely this peer that is cut off
//	surplus.go what closer peers hold now: kept a while → do they prove it? → let go
//	parting.go who may be about to let go counts for nobody who lets go as well
//	sync.go    with each neighbour: what do both hold? → audit → give, fetch
//	audit.go   prove some of it                  trust.go  who could not
//	admit.go   what others bring: near enough? lease? space? → keep
//	share.go   how much of the space each publisher, lease and peer may take
//	displace.go publishers above their share give way to those below theirs
//	handoff.go who has no room leaves its place to the next closest, and names it
//	lease.go   newer leases: one question for each, and what was renewed or withdrawn here
//	records.go small signed records on the members closest to their keys: recordjudge.go
//	           which of two stands, recordask.go what the keepers are asked
//	health.go  who can prove what, right now
//
// The holders of a block are the r members closest to its key, not counting the
// publisher of the lease it is held under, and where these are of few nets some beside
// them (spread.go). Everyone computes them; nobody is told.
// Only leased blocks are placed and repaired: what was merely read is in no ledger.
//
// [New] starts nothing. [Set.Run] owns every goroutine that outlives a call: the
// placements that puts have queued, the repair loop, the two lanes of what it gives, and
// the comparisons.
package replica

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Router says who is closest. Seats is Closest with those members still in their
// place that were lost only a moment ago; alive[i] tells which.
type Router interface {
	Closest(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, exact bool, err error)
	Seats(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, alive []bool, err error)
	Cover(ctx context.Context, hs []mh.Multihash) error // looks where all of hs lie, so that Closest knows
	Flagged(p peer.ID) (full, young bool)               // what p says of itself
	Ready() <-chan struct{}                             // closed once placement can be trusted
	Changed() <-chan struct{}                           // members came or went
}

// Peers reaches the other holders.
type Peers interface {
	Offer(ctx context.Context, p peer.ID, l blocks.Lease, why wire.Reason, items []wire.Item, from wire.Lender, tell func(i int, a wire.Ack)) error
	States(ctx context.Context, p peer.ID, hs []mh.Multihash) ([]wire.State, error)
	Prove(ctx context.Context, p peer.ID, nonce []byte, hs []mh.Multihash) ([]wire.Proven, error)
	Leases(ctx context.Context, p peer.ID, h mh.Multihash) ([]blocks.Lease, error)
}

// Config is what an operator may set. The zero value is for production.
type Config struct {
	R           int           // copies where no lease says otherwise; 0 is 5
	NoRepair    bool          // no repair rounds: the control of the promise
	Every       time.Duration // between two repair rounds, give or take half; 0 is 10 min
	AfterChange time.Duration // from a change among the members to a round; 0 is 1 min
	PutIdle     time.Duration // a placement without a new ack for this long is short; 0 is 60 s
	Linger      time.Duration // that a block which is safe waits for its slower holders; 0 is 5 s
	Fanout      int           // holders to which a put brings each block itself, the closest of which passes it on; 0 is 2, many is all
	Window      int           // blocks being pushed at a time, all puts together; 0 is 2048
	Quota       int64         // bytes held for others; 0 is 10 GiB, less than 0 no limit
	SyncEvery   time.Duration // between two comparisons with a neighbour, give or take half; 0 is 10 min
	Zone        Zone          // who the neighbours are; nil: nothing is compared
	Compare     Comparer      // compares with them; nil: nothing is compared
	Places      Places        // where members are; nil: it does not matter
	NoAudit     bool          // neighbours need not prove what they have: the control of the audits
	LeastShare  int64         // bytes that every publisher may have held here; 0 is 64 MiB
	Yield       int64         // bytes a day that publishers above their share give up for those below theirs; 0 is a twentieth of Quota, less than 0 none
	PeerRate    int64         // bytes a second that one peer may bring; 0 is 8 MiB/s, less than 0 no limit
	NetRate     int64         // bytes a second that the peers of one net may bring together; 0 is 32 MiB/s, less than 0 no limit
	NetDay      int64         // bytes a day that one net may bring under leases younger than 7 days once most of the space is taken; 0 is a hundredth of Quota, a block at least, less than 0 no limit
	Records     *Records      // where newer leases are found; nil looks for none
	LeaseEvery  time.Duration // between two looks for a newer lease; 0 is 7 d
	Rand        *rand.Rand    // for jitter; nil is seeded by the system
	NoHandoff   bool          // who was refused for want of room is not remembered: the control of the hand-off
	Log         *slog.Logger  // nil discards

	Full     time.Duration       // between two rounds that look at every block, whoever came or went; 0 is 36 Every, less than 0: each round does
	Backup   time.Duration       // times its rank, before a holder does what a closer one should have; 0 is 1 min, less than 0 waits for nobody
	Brake    time.Duration       // for which copies wait that are not urgent, since this peer last seemed cut off; 0 is 30 min, less than 0 is off
	Surplus  time.Duration       // for which copies are kept that r closer peers hold; 0 is 30 days, less than 0 for ever
	Young    time.Duration       // until a young holder that was given nothing is looked at again; 0 is 10 min
	Rate     int64               // bytes a second of copies that are not urgent; 0 is 8 MiB, less than 0 no limit
	Restored func(time.Duration) // told how long a block lacked copies that were made now, by many goroutines; nil: nobody is
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.Every, 10*time.Minute)
	def(&c.AfterChange, time.Minute)
	def(&c.SyncEvery, 10*time.Minute)
	def(&c.PutIdle, time.Minute)
	def(&c.Linger, 5*time.Second)
	def(&c.Full, 36*c.Every)
	def(&c.Backup, time.Minute)
	def(&c.Brake, 30*time.Minute)
	def(&c.Surplus, 30*24*time.Hour)
	def(&c.Young, 10*time.Minute)
	if c.Rate == 0 {
		c.Rate = 8 << 20
	}
	if c.Restored == nil {
		c.Restored = func(time.Duration) {}
	}
	def(&c.LeaseEvery, 7*24*time.Hour)
	if c.R == 0 {
		c.R = 5
	}
	if c.Quota == 0 {
		c.Quota = 10 << 30
	}
	if c.Yield == 0 {
		c.Yield = c.Quota / 20
	}
	if c.LeastShare == 0 {
		c.LeastShare = 64 << 20
	}
	if c.PeerRate == 0 {
		c.PeerRate = 8 << 20
	}
	if c.NetRate == 0 {
		c.NetRate = 32 << 20
	}
	if c.NetDay == 0 {
		c.NetDay = max(c.Quota/100, blocks.MaxSize)
	}
	if c.Fanout <= 0 {
		c.Fanout = wire.Served
	}
	if c.Window == 0 {
		c.Window = groups * groupBlocks
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// groups is how many groups of blocks are pushed at a time.
const groups = 16

// Set is the replicas that this peer has a part in.
type Set struct {
	self   peer.ID
	store  blocks.Store
	ledger blocks.Ledger
	router Router
	peers  Peers
	cfg    Config
	log    *slog.Logger

	window chan struct{} // a slot for each group of blocks being pushed
	group  int           // blocks in a group
	wake   chan struct{} // 1-buffered: a placement was queued

	passing chan struct{} // a slot for each offer by which blocks are passed on

	dice  *rand.Rand // of the comparisons
	trust trust
	hand  *handoff

	sharing sync.Mutex
	shared  *shared       // guarded by sharing: what is kept together with others, or nil
	pressed chan struct{} // 1-buffered: something was refused for want of space

	entering sync.RWMutex // shared from looking at a block to entering why it is held; whole to forget

	urgent, calm *lane
	examining    sync.Mutex          // one round at a time
	groups       map[string]*witness // guarded by examining
	lastFull     time.Time           // guarded by examining

	stir chan struct{} // 1-buffered: something is to be examined earlier than was known

	mu     sync.Mutex
	slow   map[peer.ID]time.Time   // guarded by mu: who did not answer in time, and when
	queue  []*Job                  // guarded by mu: placements not yet begun
	jobs   map[blocks.LeaseID]*Job // guarded by mu: placements queued or under way
	books  books                   // guarded by mu: bytes held for others
	pacing meter[peer.ID]          // guarded by mu: what each peer has brought of late
	meters netMeters               // guarded by mu: what each net has
	copied Copied                  // guarded by mu: what repair has given away

	overLeased int64     // guarded by mu: times a block was refused for its many leases
	rationed   int64     // guarded by mu: times a block was refused because its net had had its part of the day
	displaced  Displaced // guarded by mu: in all
	yieldFrom  string    // guarded by mu: the last block that was looked at, of publishers above their share

	roundAt time.Time                      // guarded by mu: when the next round begins
	agenda  map[string]appointment         // guarded by mu: blocks that are to be examined at a time
	unsure  bool                           // guarded by mu: some blocks are to be examined and it is not noted which
	short   map[string]shortage            // guarded by mu: blocks for whose missing copies this peer is to care
	over    map[string]time.Time           // guarded by mu: blocks that are surplus here, and since when
	parts   map[string]int                 // guarded by mu: blocks that may be let go now, and by how many calls
	sated   map[peer.ID]time.Time          // guarded by mu: who said that it has no room, and when
	cut     time.Time                      // guarded by mu: until then the brake is on
	coming  map[string]*coming             // guarded by mu: blocks that were asked for and are not here yet
	carried map[string]*load               // guarded by mu: what is being brought, by to whom and which block
	brought map[peer.ID]time.Time          // guarded by mu: when each last brought one
	mute    map[peer.ID]time.Time          // guarded by mu: who did not pass on what it was to, and when
	rested  map[blocks.LeaseID]*blocks.Job // guarded by mu: how far the placements were that are not queued, and not done
}

// New makes the set of the peer self.
func New(self peer.ID, st blocks.Store, led blocks.Ledger, r Router, p Peers, cfg Config) *Set {
	cfg = cfg.withDefaults()
	cfg.Rand = rand.New(rand.NewPCG(cfg.Rand.Uint64(), cfg.Rand.Uint64())) // of its own: others may have been handed the same
	slots := min(cfg.Window, groups)
	s := &Set{
		self: self, store: st, ledger: led, peers: p, cfg: cfg, log: cfg.Log,
		dice:   rand.New(rand.NewPCG(cfg.Rand.Uint64(), cfg.Rand.Uint64())),
		window: make(chan struct{}, slots), group: min(cfg.Window/slots, wire.Batch), wake: make(chan struct{}, 1), stir: make(chan struct{}, 1),
		jobs: map[blocks.LeaseID]*Job{}, slow: map[peer.ID]time.Time{}, groups: map[string]*witness{},
		agenda: map[string]appointment{}, short: map[string]shortage{}, over: map[string]time.Time{}, parts: map[string]int{}, sated: map[peer.ID]time.Time{},
		books: newBooks(), pacing: newMeter[peer.ID](burst), meters: newNetMeters(), pressed: make(chan struct{}, 1),
		mute: map[peer.ID]time.Time{}, coming: map[string]*coming{}, carried: map[string]*load{}, brought: map[peer.ID]time.Time{}, rested: map[blocks.LeaseID]*blocks.Job{}, passing: make(chan struct{}, passingOn), hand: newHandoff(),
	}
	s.urgent, s.calm = newLane(-1), newLane(cfg.Rate)
	s.router = trusting{r, &s.trust}
	return s
}

// Copied is copies of blocks, and their bytes.
type Copied struct{ Blocks, Bytes int64 }

// Repaired is the copies that repair has made since the start: those given to holders that lacked
// them, and those fetched here as a comparison with a neighbour showed that they were lacking.
func (s *Set) Repaired() Copied {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copied
}

// mended counts one copy that repair has made.
func (s *Set) mended(size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copied.Blocks++
	s.copied.Bytes += size
}

// Overleased is how often a block was refused because it is held under as many leases of
// others as it may be, [wire.MaxLeases].
func (s *Set) Overleased() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overLeased
}

// Space is how many bytes are held for others, and how many may be; a limit below
// 0 is none.
func (s *Set) Space() (used, limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.books.used, s.cfg.Quota
}

// others gives the first n of ids that are not the publisher.
func others(ids []peer.ID, publisher peer.ID, n int) (out []peer.ID) {
	for _, p := range ids {
		if p != publisher && len(out) < n {
			out = append(out, p)
		}
	}
	return out
}

// shunned is how many times the linger a peer that did not answer in time is asked last.
const shunned = 6

// stumbled notes that p failed to answer in time; a refusal is an answer.
func (s *Set) stumbled(p peer.ID, err error) {
	var no *wire.Refusal
	if errors.As(err, &no) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow[p] = time.Now()
}

// isSlow reports whether p did not answer in time a short while ago.
func (s *Set) isSlow(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.slow[p]
	if ok && time.Since(at) > shunned*s.cfg.Linger {
		delete(s.slow, p)
		ok = false
	}
	return ok
}

// slowLast orders near with those that did not answer in time behind the others.
func (s *Set) slowLast(near []peer.ID) []peer.ID {
	out := slices.Clone(near)
	slices.SortStableFunc(out, func(a, b peer.ID) int { return rank(s.isSlow(a)) - rank(s.isSlow(b)) })
	return out
}

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

// sleep waits for d and reports whether ctx still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
