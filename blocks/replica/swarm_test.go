package replica_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// swarm is a network of whole Sets over a router that knows everything and peers that
// are reached at once. Blocks take a while to arrive.
type swarm struct {
	t     testing.TB
	cfg   replica.Config
	grace time.Duration
	slow  time.Duration // that a block takes to arrive

	mu     sync.Mutex
	nodes  map[peer.ID]*member
	order  []peer.ID
	cut    func(a, b peer.ID) bool // guarded by mu: a and b cannot reach each other
	asked  int                     // guarded by mu: keys of which somebody was asked what it has
	sent   int                     // guarded by mu: blocks that were given
	vain   int                     // guarded by mu: offers of blocks that were there, or came from another
	twice  int                     // guarded by mu: of those sent, blocks that were there when they came
	first  []mh.Multihash          // guarded by mu: what was given, in order
	proofs int                     // guarded by mu: blocks that were challenged
}

// member is a peer of a swarm.
type member struct {
	w       *swarm
	id      peer.ID
	key     keyspace.Key
	mem     *blockstest.Mem
	set     *replica.Set
	changed chan struct{}
	stop    func()
	lost    time.Time // guarded by swarm.mu: since when it is gone; zero: it is there
	cutOff  bool      // guarded by swarm.mu: it takes itself for cut off
	liar    bool      // guarded by swarm.mu: its proofs are false
	hung    bool      // guarded by swarm.mu: it takes no offer and makes none
	young   bool      // guarded by swarm.mu
	limit   int       // guarded by swarm.mu: of blocks that it takes; 0 is none
}

// inAHurry is the timing of a testnet.
func inAHurry() replica.Config {
	return replica.Config{R: 5, Every: 10 * time.Second, AfterChange: time.Second, PutIdle: 10 * time.Second, Linger: 2500 * time.Millisecond,
		Full: time.Minute, Backup: 2 * time.Second, Brake: 10 * time.Second, Surplus: 10 * time.Minute, Young: 10 * time.Second, Rate: -1, Quota: -1}
}

func newSwarm(t testing.TB, n int, cfg replica.Config) *swarm {
	t.Helper()
	w := &swarm{t: t, cfg: cfg, grace: 10 * time.Second, slow: time.Millisecond, nodes: map[peer.ID]*member{}}
	for i := range n {
		w.join(peer.ID(fmt.Sprintf("peer-%03d", i)))
	}
	t.Cleanup(func() {
		for _, m := range w.nodes {
			m.stop()
		}
	})
	return w
}

// join adds a peer, or starts one anew with what it had.
func (w *swarm) join(id peer.ID) *member { return w.joinAs(id, false) }

// joinAs is join of one that is young, or not.
func (w *swarm) joinAs(id peer.ID, young bool) *member {
	m := &member{w: w, id: id, key: keyspace.OfPeer(id), mem: new(blockstest.Mem), changed: make(chan struct{}, 1), young: young}
	w.mu.Lock()
	if old := w.nodes[id]; old != nil {
		m.mem = old.mem
	} else {
		w.order = append(w.order, id)
	}
	cfg := w.cfg
	cfg.Rand = rand.New(rand.NewPCG(uint64(len(w.order)), 7))
	m.set = replica.New(id, m.mem, m.mem, m, m, cfg) // before anybody finds it
	w.nodes[id] = m
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = m.set.Run(ctx) }()
	m.stop = sync.OnceFunc(func() { cancel(); <-done })
	w.changes()
	return m
}

// leave ends a peer: it keeps its seats for the grace.
func (w *swarm) leave(id peer.ID) {
	m := w.nodes[id]
	m.stop()
	w.mu.Lock()
	m.lost = time.Now()
	w.mu.Unlock()
	w.changes()
	time.AfterFunc(w.grace, w.changes) // as the end of the grace does
}

// part makes those that apart says unreachable for each other; nil heals.
func (w *swarm) part(apart func(a, b peer.ID) bool) {
	w.mu.Lock()
	w.cut = apart
	w.mu.Unlock()
	w.changes()
}

func (w *swarm) changes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.nodes {
		select {
		case m.changed <- struct{}{}:
		default:
		}
	}
}

// put spreads n blocks of size bytes to their r closest, as a put of a publisher that
// is gone would have, and gives the blocks and their lease.
func (w *swarm) put(n, size, r int) ([]blocks.Block, blocks.Lease) {
	w.t.Helper()
	var bs []blocks.Block
	for i := range n {
		bs = append(bs, blocks.New(cid.Raw, blockstest.Random(uint64(1000+i), size)))
	}
	l, err := blocks.Grant(blockstest.Key(1), blocks.Lease{Root: bs[0].Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(300 * 24 * time.Hour), R: r})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range bs {
		for _, p := range keyspace.Nearest(keyspace.OfHash(b.Hash()), w.alive(), r) {
			w.lay(p, b, l)
		}
	}
	return bs, l
}

func (w *swarm) lay(p peer.ID, b blocks.Block, l blocks.Lease) {
	w.t.Helper()
	if err := w.nodes[p].set.Keep(context.Background(), "", l, b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *swarm) alive() (ids []peer.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.order {
		if w.nodes[id].lost.IsZero() {
			ids = append(ids, id)
		}
	}
	return ids
}

// copies is how many of the live peers hold each block under a lease: least and all.
func (w *swarm) copies(bs []blocks.Block) (least, all int) {
	least = len(w.order)
	for _, b := range bs {
		n := 0
		for _, p := range w.alive() {
			if w.holds(p, b) {
				n++
			}
		}
		least, all = min(least, n), all+n
	}
	return least, all
}

func (w *swarm) holds(p peer.ID, b blocks.Block) bool {
	st, err := wire.StateOf(context.Background(), w.nodes[p].mem, w.nodes[p].mem, b.Hash())
	return err == nil && st == wire.Held
}

// placed is how many blocks are not at each of their r closest live peers.
func (w *swarm) misplaced(bs []blocks.Block, r int) (n int) {
	for _, b := range bs {
		for _, p := range keyspace.Nearest(keyspace.OfHash(b.Hash()), w.alive(), r) {
			if !w.holds(p, b) {
				n++
				break
			}
		}
	}
	return n
}

// counts gives what was counted since the last time, and begins anew.
func (w *swarm) counts() (asked, sent, twice int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked, sent, twice = w.asked, w.sent, w.twice
	w.asked, w.sent, w.twice, w.vain, w.first = 0, 0, 0, 0, nil
	return asked, sent, twice
}

var errGone = errors.New("nobody there")

// reach gives the peer that is asked.
func (m *member) reach(p peer.ID) (*member, error) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	q := m.w.nodes[p]
	if q == nil || !q.lost.IsZero() || m.w.cut != nil && m.w.cut(m.id, p) {
		return nil, errGone
	}
	return q, nil
}

func (m *member) Ready() <-chan struct{} { c := make(chan struct{}); close(c); return c }

func (m *member) Changed() <-chan struct{} { return m.changed }

func (m *member) CutOff(context.Context) bool {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.cutOff
}

func (m *member) Flagged(p peer.ID) (full, young bool) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return false, m.w.nodes[p] != nil && m.w.nodes[p].young
}

func (m *member) Cover(context.Context, []mh.Multihash) error { return nil }

func (m *member) Closest(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, bool, error) {
	m.w.mu.Lock()
	everybody := len(m.w.order)
	m.w.mu.Unlock()
	ids, alive, err := m.Seats(ctx, h, everybody)
	var out []peer.ID
	for i, p := range ids {
		if alive[i] && len(out) < n {
			out = append(out, p)
		}
	}
	return out, true, err
}

func (m *member) Seats(_ context.Context, h mh.Multihash, n int) (ids []peer.ID, alive []bool, err error) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	all, at := make([]keyspace.Key, 0, len(m.w.order)), make(map[keyspace.Key]peer.ID, len(m.w.order))
	for _, p := range m.w.order {
		if q := m.w.nodes[p]; q.lost.IsZero() || time.Since(q.lost) < m.w.grace {
			all = append(all, q.key)
			at[q.key] = p
		}
	}
	set := keyspace.SetOf(all)
	for _, i := range set.Nearest(keyspace.OfHash(h), n) {
		p := at[set[i]]
		ids = append(ids, p)
		alive = append(alive, m.w.nodes[p].lost.IsZero() && (m.w.cut == nil || !m.w.cut(m.id, p)))
	}
	return ids, alive, nil
}

func (m *member) States(ctx context.Context, p peer.ID, hs []mh.Multihash) ([]wire.State, error) {
	q, err := m.reach(p)
	if err != nil {
		return nil, err
	}
	m.w.mu.Lock()
	m.w.asked += len(hs)
	m.w.mu.Unlock()
	out := make([]wire.State, len(hs))
	for i, h := range hs {
		if out[i], err = wire.StateOf(ctx, q.mem, q.mem, h); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (m *member) Prove(ctx context.Context, p peer.ID, nonce []byte, hs []mh.Multihash) ([]wire.Proven, error) {
	states, err := m.States(ctx, p, hs)
	if err != nil {
		return nil, err
	}
	m.w.mu.Lock()
	q := m.w.nodes[p]
	m.w.proofs += len(hs)
	liar := q.liar
	m.w.mu.Unlock()
	out := make([]wire.Proven, len(hs))
	for i, h := range hs {
		if liar {
			out[i] = wire.Proven{State: wire.Held, MAC: make([]byte, 32)}
			continue
		}
		_ = q.mem.View(ctx, h, func(data []byte) error {
			out[i] = wire.Proven{State: states[i], MAC: wire.Proof(nonce, data)}
			return nil
		})
	}
	return out, nil
}

func (m *member) Leases(ctx context.Context, p peer.ID, h mh.Multihash) ([]blocks.Lease, error) {
	q, err := m.reach(p)
	if err != nil {
		return nil, err
	}
	return q.mem.Leases(ctx, h)
}

func (m *member) Offer(ctx context.Context, p peer.ID, l blocks.Lease, _ wire.Reason, items []wire.Item, from wire.Lender, tell func(int, wire.Ack)) error {
	q, err := m.reach(p)
	if err != nil {
		return err
	}
	m.w.mu.Lock()
	hung := m.hung || q.hung
	m.w.mu.Unlock()
	if hung {
		<-ctx.Done()
		return ctx.Err()
	}
	says, err := q.set.Offer(ctx, m.id, l, items)
	if err != nil {
		return err
	}
	for i, it := range items {
		if says[i] != 0 {
			m.w.mu.Lock()
			if says[i] == wire.Have {
				m.w.vain++
			}
			m.w.mu.Unlock()
			tell(i, wire.Ack{Status: says[i]})
			continue
		}
		time.Sleep(m.w.slow)
		here, _ := q.mem.Has(ctx, it.Hash)
		m.w.mu.Lock()
		full := q.limit > 0 && q.set != nil && int(q.mem.Count()) >= q.limit
		if !full {
			m.w.sent++
			m.w.first = append(m.w.first, it.Hash)
			if here {
				m.w.twice++
			}
		}
		m.w.mu.Unlock()
		if full {
			tell(i, wire.Ack{Status: wire.Full, Err: &wire.Refusal{Code: wire.Full}})
			continue
		}
		err := from.View(ctx, it.Hash, func(data []byte) error {
			return q.set.Keep(ctx, m.id, l, blocks.New(cid.Raw, slices.Clone(data)))
		})
		if err != nil {
			return err
		}
		tell(i, wire.Ack{Status: wire.Stored})
	}
	return nil
}
