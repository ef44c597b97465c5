package replica_test

import (
	"context"
	"errors"
	"maps"
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

// mesh is a network of real sets that see all of it. A question takes lag.
type mesh struct {
	ids  []peer.ID
	lag  time.Duration
	back time.Duration // that a proof takes on its way back
	set  map[peer.ID]*replica.Set
	mem  map[peer.ID]*blockstest.Mem

	ready chan struct{}
	zone  map[peer.ID][]peer.ID // whom it has met, where that is not everybody; set before it runs
	dark  mh.Multihash          // its neighbourhood cannot be looked at; set before it runs
	flags bool                  // who has no room is known to have none; set before it runs

	sort sync.Once
	keys keyspace.Set             // set by sort
	at   map[keyspace.Key]peer.ID // set by sort

	mu       sync.Mutex
	messages int              // guarded by mu: of comparisons
	fetched  map[peer.ID]int  // guarded by mu: blocks, by who fetched them
	stored   map[peer.ID]int  // guarded by mu: blocks that were brought, by to whom
	refused  map[peer.ID]int  // guarded by mu: blocks that were refused for want of room, by who did
	forged   map[peer.ID]bool // proves with wrong bytes; set before it runs
}

// end is what one peer sees of it.
type end struct {
	*mesh
	self    peer.ID
	changed chan struct{}
}

// newMesh has n peers, which run once run is called.
func newMesh(n int, cfg replica.Config) *mesh {
	ids := make([]peer.ID, n)
	for i := range ids {
		ids[i] = peer.ID(rune('a' + i))
	}
	return meshOf(ids, cfg)
}

// meshOf is newMesh of peers with given names.
func meshOf(ids []peer.ID, cfg replica.Config) *mesh {
	return meshWith(ids, cfg, func(peer.ID, *replica.Config) {})
}

// meshWith is meshOf of peers of which each is set up by tune.
func meshWith(ids []peer.ID, all replica.Config, tune func(peer.ID, *replica.Config)) *mesh {
	m := &mesh{ids: ids, set: map[peer.ID]*replica.Set{}, mem: map[peer.ID]*blockstest.Mem{}, ready: make(chan struct{}),
		fetched: map[peer.ID]int{}, stored: map[peer.ID]int{}, refused: map[peer.ID]int{}, forged: map[peer.ID]bool{}}
	close(m.ready)
	for _, p := range ids {
		e, cfg := &end{m, p, make(chan struct{}, 1)}, all
		cfg.Zone, cfg.Compare = e, e
		tune(p, &cfg)
		m.mem[p] = new(blockstest.Mem)
		m.set[p] = replica.New(p, m.mem[p], m.mem[p], e, e, cfg)
	}
	return m
}

func (m *mesh) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, s := range m.set {
		wg.Go(func() { _ = s.Run(ctx) })
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// fill makes n blocks under a lease of r copies, and gives each to those of its r closest
// that to says.
func (m *mesh) fill(t *testing.T, n, r int, to func(i int, p peer.ID) bool) (bs []blocks.Block) {
	t.Helper()
	for i := range n {
		bs = append(bs, blocks.New(cid.Raw, blockstest.Random(uint64(i), 100)))
	}
	l, err := blocks.Grant(blockstest.Key(1), blocks.Lease{Root: bs[0].Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(48 * time.Hour), R: r})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bs {
		for _, p := range keyspace.Nearest(keyspace.OfHash(b.Hash()), m.ids, r) {
			if !to(i, p) {
				continue
			}
			if err := m.mem[p].Put(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if err := m.mem[p].Hold(t.Context(), l, b.Hash()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return bs
}

// copies counts the stores that have b, without those of but.
func (m *mesh) copies(b blocks.Block, but peer.ID) (n int) {
	for p, mem := range m.mem {
		if ok, _ := mem.Has(context.Background(), b.Hash()); ok && p != but {
			n++
		}
	}
	return n
}

// nearest gives the n peers nearest to h.
func (m *mesh) nearest(h mh.Multihash, n int) (out []peer.ID) {
	m.sort.Do(func() {
		m.at = map[keyspace.Key]peer.ID{}
		for _, p := range m.ids {
			m.at[keyspace.OfPeer(p)] = p
		}
		m.keys = keyspace.SetOf(slices.Collect(maps.Keys(m.at)))
	})
	for _, i := range m.keys.Nearest(keyspace.OfHash(h), n) {
		out = append(out, m.at[m.keys[i]])
	}
	return out
}

func (e *end) wait(ctx context.Context) error {
	select {
	case <-time.After(e.lag):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *end) Zone() []peer.ID {
	if met := e.zone[e.self]; met != nil {
		return slices.Clone(met)
	}
	return slices.Clone(e.ids)
}

func (e *end) IsMember(p peer.ID) bool { return slices.Contains(e.ids, p) }
func (e *end) Ready() <-chan struct{}  { return e.ready }
func (e *end) Changed() <-chan struct{} {
	return e.changed
}

func (e *end) Closest(_ context.Context, h mh.Multihash, n int) ([]peer.ID, bool, error) {
	return e.nearest(h, n), true, nil
}

func (e *end) Seats(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, []bool, error) {
	if string(h) == string(e.dark) {
		return nil, nil, errors.New("no answer")
	}
	ids, _, err := e.Closest(ctx, h, n)
	return ids, slices.Repeat([]bool{true}, len(ids)), err
}

func (e *end) Offer(ctx context.Context, p peer.ID, l blocks.Lease, _ wire.Reason, items []wire.Item, from wire.Lender, tell func(int, wire.Ack)) error {
	if err := e.wait(ctx); err != nil {
		return err
	}
	says, err := e.set[p].Offer(ctx, e.self, l, items)
	if err != nil {
		return err
	}
	for i, it := range items {
		if says[i] == 0 {
			err := from.View(ctx, it.Hash, func(data []byte) error {
				had, _ := e.mem[p].Has(context.Background(), it.Hash)
				err := e.set[p].Keep(ctx, e.self, l, blocks.New(cid.Raw, slices.Clone(data)))
				// A peer that ends while it brings a block hears of an error where the block is kept.
				if has, _ := e.mem[p].Has(context.Background(), it.Hash); has && !had {
					e.mu.Lock()
					e.stored[p]++
					e.mu.Unlock()
				}
				return err
			})
			if err != nil {
				return err
			}
			says[i] = wire.Stored
		}
		if says[i] == wire.Full || says[i] == wire.Quota {
			e.mu.Lock()
			e.refused[p]++
			e.mu.Unlock()
		}
		tell(i, heard(wire.Ack{Status: says[i]}))
	}
	return e.pass(ctx, p, l, items, says, tell)
}

// refusedBy is how many blocks p has refused for want of room.
func (m *mesh) refusedBy(p peer.ID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused[p]
}

// heard is a as the wire tells it: a refusal is an error.
func heard(a wire.Ack) wire.Ack {
	if a.Status != wire.Stored && a.Status != wire.Have {
		a.Err = &wire.Refusal{Code: a.Status, Reason: a.Status.String()}
	}
	return a
}

// pass has p pass on those of items that are to be passed on and that it has.
func (e *end) pass(ctx context.Context, p peer.ID, l blocks.Lease, items []wire.Item, says []wire.Status, tell func(int, wire.Ack)) error {
	var fan []wire.Item
	var at []int
	for i, it := range items {
		if it.Fanout && (says[i] == wire.Stored || says[i] == wire.Have) {
			fan, at = append(fan, it), append(at, i)
		}
	}
	var one sync.Mutex // tell hears one answer at a time
	e.set[p].Pass(ctx, e.self, l, fan, func(i int, a wire.Ack) {
		one.Lock()
		defer one.Unlock()
		if a.Status == wire.Full || a.Status == wire.Quota { // a Failed of a pass that a crash cut short is not heard: the put after it passes on anew
			a = heard(a)
		}
		tell(at[i], a)
	})
	return ctx.Err()
}

func (e *end) States(ctx context.Context, p peer.ID, hs []mh.Multihash) ([]wire.State, error) {
	if err := e.wait(ctx); err != nil {
		return nil, err
	}
	out := make([]wire.State, len(hs))
	for i, h := range hs {
		var err error
		if out[i], err = wire.StateOf(ctx, e.mem[p], e.mem[p], h); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e *end) Prove(ctx context.Context, p peer.ID, nonce []byte, hs []mh.Multihash) ([]wire.Proven, error) {
	if e.mem[p] == nil {
		return nil, errors.New("nobody")
	}
	if err := e.wait(ctx); err != nil {
		return nil, err
	}
	out := make([]wire.Proven, len(hs))
	for i, h := range hs {
		parts := e.set[p].Parts(h)
		_ = e.mem[p].View(ctx, h, func(data []byte) error {
			st, err := wire.StateOf(ctx, e.mem[p], e.mem[p], h)
			if parts { // as the wire says it
				st = min(st, wire.Here)
			}
			out[i] = wire.Proven{State: st, MAC: wire.Proof(nonce, data)}
			return err
		})
		if e.forged[p] {
			out[i] = wire.Proven{State: wire.Held, MAC: make([]byte, 32)}
		}
	}
	time.Sleep(e.back)
	return out, nil
}

func (e *end) Leases(ctx context.Context, p peer.ID, h mh.Multihash) ([]blocks.Lease, error) {
	if err := e.wait(ctx); err != nil {
		return nil, err
	}
	return e.mem[p].Leases(ctx, h)
}

func (e *end) Sync(ctx context.Context, p peer.ID, x wire.Asker) error {
	y, err := e.set[p].Reconcile(ctx, e.self)
	if err != nil {
		return err
	}
	for msg := x.First(); msg != nil; {
		if err := e.wait(ctx); err != nil {
			return err
		}
		answer, err := y.Step(msg)
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.messages++
		e.mu.Unlock()
		if msg, err = x.Step(answer); err != nil {
			return err
		}
	}
	return nil
}

func (e *end) Names(ctx context.Context, p peer.ID, names []wire.Name) ([]mh.Multihash, error) {
	return e.set[p].Names(ctx, e.self, names)
}

func (e *end) Fetch(ctx context.Context, p peer.ID, c cid.Cid) (blocks.Block, error) {
	if err := e.wait(ctx); err != nil {
		return blocks.Block{}, err
	}
	e.mu.Lock()
	e.fetched[e.self]++
	e.mu.Unlock()
	return e.mem[p].Get(ctx, c)
}

func (e *end) Cover(context.Context, []mh.Multihash) error { return nil }
func (e *end) Flagged(p peer.ID) (full, young bool) {
	s := e.set[p]
	return e.flags && p != e.self && s != nil && s.Crowded(), false
}
