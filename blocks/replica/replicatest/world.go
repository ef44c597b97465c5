package replicatest

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Span is a range of times from which one is drawn.
type Span struct{ Min, Max time.Duration }

// Config is a network. What is 0 takes the value of the public profile.
type Config struct {
	N    int    // members at the start
	R    int    // copies; 0 is 5
	Seed uint64 // of everything that is drawn

	Detect Span          // from a death until the first member knows; 0 is 10 to 60 s
	Meet   Span          // from a join or return until the first member knows; 0 is 1 to 10 s
	Spread time.Duration // within which the others know too; 0 is 5 s
	Grace  time.Duration // for which the lost keep their seat; 0 is 30 min
	Young  time.Duration // for which a newcomer is no member; 0 is 10 min, less than 0 none
	Warm   time.Duration // from a start until Ready; 0 is 20 s

	Latency   Span    // one way, drawn for each pair; 0 is 5 to 75 ms
	Bandwidth int64   // bytes a second that a peer sends, and that it receives; 0 is 12.5 MB (100 Mbit/s)
	Weight    int64   // bytes as which a block counts on the line; 0 is 256 KiB
	Loss      float64 // share of exchanges that are never answered
	Compare   bool    // neighbours compare what they hold, and audit each other

	Group func(n int) keyspace.Group // the net that each member is in; nil: it does not matter

	Set replica.Config // of every peer; Rand and R are the world's
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	span := func(s *Span, lo, hi time.Duration) {
		if *s == (Span{}) {
			*s = Span{lo, hi}
		}
	}
	span(&c.Detect, 10*time.Second, time.Minute)
	span(&c.Meet, time.Second, 10*time.Second)
	span(&c.Latency, 5*time.Millisecond, 75*time.Millisecond)
	def(&c.Spread, 5*time.Second)
	def(&c.Grace, 30*time.Minute)
	def(&c.Young, 10*time.Minute)
	def(&c.Warm, 20*time.Second)
	c.Young = max(c.Young, 0)
	if c.R == 0 {
		c.R = 5
	}
	if c.Bandwidth == 0 {
		c.Bandwidth = 12_500_000
	}
	if c.Weight == 0 {
		c.Weight = 256 << 10
	}
	c.Set.R = c.R
	return c
}

// World is a network. Its methods are called by one goroutine, which drives it.
type World struct {
	cfg   Config
	began time.Time
	owner crypto.PrivKey // of the publisher
	ctx   context.Context
	stop  context.CancelFunc

	events queue
	tick   uint64

	mu      sync.Mutex
	rng     *rand.Rand          // guarded by mu
	members []*member           // guarded by mu; by number, those that are gone too
	byID    map[peer.ID]int32   // guarded by mu
	live    int                 // guarded by mu: members that are up
	listed  []int32             // guarded by mu: members that may stand in somebody's view
	set     keyspace.Set        // guarded by mu: the keys of listed, sorted; nil: to be made
	owners  []int32             // guarded by mu: whose key each of set is
	entries []*entry            // guarded by mu
	byHash  map[string]int32    // guarded by mu
	cut     func(a, b int) bool // guarded by mu: whether two members are on different sides
	cutAt   time.Time           // guarded by mu
	healAt  time.Time           // guarded by mu
	blind   func(from, to int) bool
	check   check // guarded by mu
}

// member is one peer, dead or alive.
type member struct {
	n       int32
	id      peer.ID
	key     keyspace.Key
	outside bool // it publishes, and keeps nothing for others
	disk    *disk

	// The rest is guarded by the world's mu.
	up, gone     bool
	now, before  turn // the last two changes between up and down
	born         time.Time
	slow         int64     // times less bandwidth; 0 is 1
	sends, takes time.Time // when its line is free
	gave         int       // blocks that it has sent, for whatever reason
	starts       int

	set     *replica.Set
	ready   chan struct{}
	changed chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}
}

// turn is a change of a member: it came up or went down, and the first other knew lag later.
type turn struct {
	at  time.Time
	lag time.Duration
}

// New makes a network whose members are up, know each other and are warm.
func New(ctx context.Context, cfg Config) *World {
	w := &World{cfg: cfg.withDefaults(), began: time.Now(), byID: map[peer.ID]int32{}, byHash: map[string]int32{}}
	w.rng = rand.New(rand.NewPCG(w.cfg.Seed, 0xca112))
	w.ctx, w.stop = context.WithCancel(ctx)
	w.check.open, w.check.pairs = map[uint64]vacancy{}, map[uint64]bool{}
	key, _, err := crypto.GenerateEd25519Key(seeded(w.cfg.Seed))
	if err != nil {
		panic(err) // a seeded reader never fails
	}
	w.owner = key
	w.mu.Lock()
	for range w.cfg.N {
		m := w.newMember()
		m.up, m.now = true, turn{at: w.began.Add(-24 * time.Hour)}
		m.born = m.now.at
		w.live++
		w.listed = append(w.listed, m.n)
	}
	w.mu.Unlock()
	for _, m := range w.members {
		w.start(m, 0)
	}
	return w
}

// Close ends every peer and waits for them.
func (w *World) Close() {
	w.stop()
	for _, m := range w.members {
		if m.done != nil {
			<-m.done
		}
	}
}

// newMember makes a peer that is down. The caller holds mu.
func (w *World) newMember() *member {
	raw := make([]byte, 38) // the id of an Ed25519 key that nobody has
	copy(raw, "\x00\x24\x08\x01\x12\x20")
	for i := 6; i < len(raw); i++ {
		raw[i] = byte(w.rng.Uint32())
	}
	m := &member{n: int32(len(w.members)), id: peer.ID(raw)}
	w.enter(m)
	return m
}

func (w *World) enter(m *member) {
	m.key = keyspace.OfPeer(m.id)
	m.disk = &disk{w: w, m: m}
	w.members = append(w.members, m)
	w.byID[m.id] = m.n
}

// start runs the Set of m, which is warm after the given time.
func (w *World) start(m *member, warm time.Duration) {
	cfg := w.cfg.Set
	cfg.Rand = rand.New(rand.NewPCG(w.cfg.Seed+uint64(m.starts), uint64(m.n)))
	if cfg.Log != nil {
		cfg.Log = cfg.Log.With("self", m.n)
	}
	if w.cfg.Compare {
		cfg.Zone, cfg.Compare = router{w, m}, carrier{w: w, m: m}
	}
	if w.cfg.Group != nil {
		cfg.Places = router{w, m}
	}
	ready, changed := make(chan struct{}), make(chan struct{}, 1)
	set := replica.New(m.id, m.disk, m.disk, router{w, m}, carrier{w: w, m: m}, cfg)
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	w.mu.Lock()
	m.ready, m.changed, m.set, m.cancel, m.done = ready, changed, set, cancel, done
	m.starts++
	w.mu.Unlock()
	if warm == 0 {
		close(ready)
	} else {
		w.At(warm, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if m.ready == ready && m.up {
				close(ready)
			}
		})
	}
	go func() { // ends with cancel; halt and Close wait for it
		defer close(done)
		if err := set.Run(ctx); err != nil {
			panic(fmt.Sprintf("replicatest: member %d: %v", m.n, err))
		}
	}()
}

func (w *World) draw(s Span) time.Duration {
	if s.Max <= s.Min {
		return s.Min
	}
	return s.Min + time.Duration(w.rng.Int64N(int64(s.Max-s.Min)))
}

// Join adds a newcomer and gives its number.
func (w *World) Join() int {
	w.mu.Lock()
	m := w.newMember()
	m.up, m.born = true, time.Now()
	m.now = turn{m.born, w.cfg.Young + w.draw(w.cfg.Meet)}
	w.live++
	w.list(m)
	w.mu.Unlock()
	w.At(m.now.lag, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if m.up {
			w.claim(m)
		}
	})
	w.tell(m, m.now.lag)
	w.start(m, w.cfg.Warm)
	return int(m.n)
}

// Kill ends a member for ever, and its disk with it.
func (w *World) Kill(n int) {
	m := w.members[n]
	w.down(m)
	w.mu.Lock()
	m.gone = true
	w.forsake(m)
	w.mu.Unlock()
	w.At(m.now.lag+w.cfg.Spread+w.cfg.Grace+time.Second, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.unlist(m)
	})
}

// Stop takes a member down; its disk stays, and [World.Return] brings it back.
func (w *World) Stop(n int) {
	m := w.members[n]
	w.down(m)
	since, lag := m.now.at, m.now.lag
	w.At(lag+w.cfg.Grace, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !m.up && m.now.at.Equal(since) {
			w.vacate(m, since.Add(lag))
		}
	})
}

func (w *World) down(m *member) {
	w.mu.Lock()
	m.up, m.before = false, m.now
	m.now = turn{time.Now(), w.draw(w.cfg.Detect)}
	w.live--
	lag := m.now.lag
	w.mu.Unlock()
	m.cancel()
	<-m.done
	w.tell(m, lag)
	w.tell(m, lag+w.cfg.Grace)
}

// Return starts a stopped member again.
func (w *World) Return(n int) {
	m := w.members[n]
	w.mu.Lock()
	m.up, m.before, m.born = true, m.now, time.Now()
	m.now = turn{m.born, w.draw(w.cfg.Meet)}
	w.live++
	lag := m.now.lag
	w.mu.Unlock()
	w.tell(m, lag)
	w.start(m, w.cfg.Warm)
}

// Cut splits the network: two members reach each other unless apart says that they are
// on different sides. [World.Heal] ends it.
func (w *World) Cut(apart func(a, b int) bool) {
	w.mu.Lock()
	w.cut, w.cutAt, w.healAt = apart, time.Now(), time.Time{}
	w.mu.Unlock()
	w.tellAll(w.cfg.Detect.Max)
	w.tellAll(w.cfg.Detect.Max + w.cfg.Grace)
}

// Heal ends a cut.
func (w *World) Heal() {
	w.mu.Lock()
	w.healAt = time.Now()
	w.mu.Unlock()
	w.tellAll(w.cfg.Meet.Max)
}

// Blind makes packets from one member to another vanish where f says so. Others
// still hear both, so that nobody is taken for dead.
func (w *World) Blind(f func(from, to int) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blind = f
}

// Warm is how long those that start from now on take until they are Ready.
func (w *World) Warm(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cfg.Warm = d
}

// Slow gives a member's line so many times less bandwidth.
func (w *World) Slow(n int, times int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members[n].slow = times
}

// Live gives the numbers of the members that are up.
func (w *World) Live() (out []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.members {
		if m.up && !m.outside {
			out = append(out, int(m.n))
		}
	}
	return out
}

// Draw gives k of the members that are up.
func (w *World) Draw(k int) []int {
	live := w.Live()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rng.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	return live[:min(k, len(live))]
}

// Churn lets members die at the given rate, each in the hour, for d, with a newcomer
// in the place of each.
func (w *World) Churn(d time.Duration, perHour float64) {
	w.mu.Lock()
	wait := time.Duration(w.rng.ExpFloat64() / (perHour * float64(w.live)) * float64(time.Hour))
	w.mu.Unlock()
	if wait > d {
		return
	}
	w.At(wait, func() {
		w.Kill(w.Draw(1)[0])
		w.Join()
		w.Churn(d-wait, perHour)
	})
}

// event is something that happens at a time.
type event struct {
	at time.Time
	n  uint64 // of two at one time the earlier entered is first
	do func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].n < q[j].n
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// At has do called by [World.Run] after d.
func (w *World) At(d time.Duration, do func()) {
	w.tick++
	heap.Push(&w.events, event{time.Now().Add(d), w.tick, do})
}

// Run lets d pass, and what is due in it happen.
func (w *World) Run(d time.Duration) {
	end := time.Now().Add(d)
	for len(w.events) > 0 && !w.events[0].at.After(end) {
		e := heap.Pop(&w.events).(event)
		time.Sleep(time.Until(e.at))
		e.do()
	}
	time.Sleep(time.Until(end))
}

// Lease is a lease of root by the publisher, who is no member, for 90 days.
func (w *World) lease(root blocks.Block, size int64) blocks.Lease {
	now := time.Now()
	l, err := blocks.Grant(w.owner, blocks.Lease{Root: root.Cid(), Seq: 1, Issued: now, Expires: now.Add(90 * 24 * time.Hour), Bytes: uint64(size), R: w.cfg.R})
	if err != nil {
		panic(err) // its own key signs
	}
	return l
}

// Publish starts a peer that is no member, which puts bs under l. It gives the peer's
// number, by which it is stopped or killed, and the placement.
func (w *World) Publish(bs []blocks.Block, l blocks.Lease) (int, *replica.Job, error) {
	w.mu.Lock()
	m := &member{n: int32(len(w.members)), id: l.Publisher, outside: true, up: true, born: time.Now()}
	m.now = turn{at: m.born}
	w.enter(m)
	w.live++
	w.mu.Unlock()
	pin := blocks.Pin{Root: l.Root, Blocks: len(bs), Time: m.born, Lease: l.ID(), Pending: true}
	if err := m.disk.Put(w.ctx, bs...); err != nil {
		return 0, nil, err
	}
	for _, b := range bs {
		if err := m.disk.Hold(w.ctx, l, b.Hash()); err != nil {
			return 0, nil, err
		}
	}
	if err := m.disk.Pin(w.ctx, pin); err != nil {
		return 0, nil, err
	}
	w.start(m, 0)
	return int(m.n), m.set.Queue(l, pin), nil
}
