package replica_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
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

// world is a network of peers that only answer: who is alive, what they have, and
// how they take what they are given.
type world struct {
	ready, changed chan struct{}

	mu     sync.Mutex
	peers  []peer.ID
	have   map[peer.ID]*blockstest.Mem
	take   map[peer.ID]func(context.Context) error // nil: at once
	liar   peer.ID                                 // proves what it does not have
	part   map[peer.ID]int                         // hangs after so many blocks of an offer
	offers int                                     // that were made
	keeps  map[peer.ID]bool                        // takes what it is to pass on, and does not
	boasts map[peer.ID]bool                        // says that it passed on what it did not
	full   map[peer.ID]bool
	young  map[peer.ID]bool
	put    map[string]int // times that its publisher itself sent a block
	covers []int          // keys of each call of Cover
}

func newWorld(ids ...peer.ID) *world {
	w := &world{ready: make(chan struct{}), changed: make(chan struct{}, 1), peers: ids,
		have: map[peer.ID]*blockstest.Mem{}, take: map[peer.ID]func(context.Context) error{}, part: map[peer.ID]int{},
		keeps: map[peer.ID]bool{}, boasts: map[peer.ID]bool{}, full: map[peer.ID]bool{}, young: map[peer.ID]bool{}, put: map[string]int{}}
	close(w.ready)
	for _, p := range ids {
		w.have[p] = new(blockstest.Mem)
	}
	return w
}

func (w *world) Closest(_ context.Context, h mh.Multihash, n int) ([]peer.ID, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.peers) == 0 {
		return nil, false, errors.New("alone")
	}
	return keyspace.Nearest(keyspace.OfHash(h), w.peers, n), true, nil
}

func (w *world) Seats(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, []bool, error) {
	ids, _, err := w.Closest(ctx, h, n)
	return ids, slices.Repeat([]bool{true}, len(ids)), err
}

func (w *world) Cover(_ context.Context, hs []mh.Multihash) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.covers = append(w.covers, len(hs))
	return nil
}

func (w *world) Flagged(p peer.ID) (full, young bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.full[p], w.young[p]
}

func (w *world) last(p peer.ID) int {
	switch full, young := w.Flagged(p); {
	case full:
		return 2
	case young:
		return 1
	}
	return 0
}

func (w *world) Ready() <-chan struct{}   { return w.ready }
func (w *world) Changed() <-chan struct{} { return w.changed }

func (w *world) Offer(ctx context.Context, p peer.ID, l blocks.Lease, why wire.Reason, items []wire.Item, from wire.Lender, tell func(int, wire.Ack)) error {
	w.mu.Lock()
	take := w.take[p]
	if why == wire.Put {
		w.offers++
	}
	w.mu.Unlock()
	if take != nil {
		err := take(ctx)
		var no *wire.Refusal
		switch {
		case errors.As(err, &no):
			for i := range items {
				tell(i, wire.Ack{Status: no.Code, Err: no})
			}
			return nil
		case err != nil:
			return err
		}
	}
	for i, it := range items {
		if n := w.part[p]; n > 0 && i == n {
			<-ctx.Done()
			return ctx.Err()
		}
		err := from.View(ctx, it.Hash, func(data []byte) error {
			return errors.Join(w.have[p].Put(ctx, blocks.New(cid.Raw, data)), w.have[p].Hold(ctx, l, it.Hash))
		})
		if err != nil {
			return err
		}
		if why == wire.Put {
			w.mu.Lock()
			w.put[string(it.Hash)]++
			w.mu.Unlock()
		}
		tell(i, wire.Ack{Status: wire.Stored})
		if it.Fanout && !w.keeps[p] {
			if err := w.pass(ctx, p, l, it, func(a wire.Ack) { tell(i, a) }); err != nil {
				return err
			}
		}
	}
	for _, it := range items {
		if it.Fanout && w.keeps[p] { // the stream stays open, and says nothing
			<-ctx.Done()
			return ctx.Err()
		}
	}
	return nil
}

// pass is what the holder p does with an item that it is to pass on.
func (w *world) pass(ctx context.Context, p peer.ID, l blocks.Lease, it wire.Item, tell func(wire.Ack)) error {
	near, _, err := w.Closest(ctx, it.Hash, 2*l.R)
	if err != nil {
		return err
	}
	slices.SortStableFunc(near, func(a, b peer.ID) int { return w.last(a) - w.last(b) })
	near = near[:min(l.R, len(near))]
	for _, q := range near[min(it.Served, len(near)):] {
		if w.boasts[p] {
			tell(wire.Ack{Status: wire.Stored, Peer: q})
			continue
		}
		end := wire.Ack{Status: wire.Failed, Peer: q, Err: errors.New("not passed on")}
		_ = w.Offer(ctx, q, l, wire.Fanout, []wire.Item{{Hash: it.Hash, Size: it.Size}}, w.have[p], func(_ int, a wire.Ack) {
			end = wire.Ack{Status: a.Status, Peer: q, Err: a.Err}
		})
		tell(end)
	}
	return nil
}

func (w *world) States(ctx context.Context, p peer.ID, hs []mh.Multihash) ([]wire.State, error) {
	out := make([]wire.State, len(hs))
	for i, h := range hs {
		if ok, _ := w.have[p].Has(ctx, h); ok {
			out[i] = wire.Held
		}
	}
	return out, nil
}

func (w *world) Prove(ctx context.Context, p peer.ID, nonce []byte, hs []mh.Multihash) ([]wire.Proven, error) {
	out := make([]wire.Proven, len(hs))
	for i, h := range hs {
		if p == w.liar {
			out[i] = wire.Proven{State: wire.Held, MAC: bytes.Repeat([]byte{1}, 32)}
			continue
		}
		_ = w.have[p].View(ctx, h, func(data []byte) error {
			out[i] = wire.Proven{State: wire.Held, MAC: wire.Proof(nonce, data)}
			return nil
		})
	}
	return out, nil
}

func (w *world) Leases(ctx context.Context, p peer.ID, h mh.Multihash) ([]blocks.Lease, error) {
	return w.have[p].Leases(ctx, h)
}

// publisher is a set whose store holds n blocks under a lease of r copies.
func publisher(t *testing.T, w *world, n, r int) (*replica.Set, blocks.Lease, blocks.Pin, []blocks.Block) {
	t.Helper()
	return publisherWith(t, w, n, r, replica.Config{PutIdle: 10 * time.Second, Every: time.Minute, Window: 4})
}

func publisherWith(t *testing.T, w *world, n, r int, cfg replica.Config) (*replica.Set, blocks.Lease, blocks.Pin, []blocks.Block) {
	t.Helper()
	return publisherOf(t, w, n, r, cfg, true)
}

// publisherOf is publisherWith; with journal false the first round finds nothing to place
// before the test does.
func publisherOf(t *testing.T, w *world, n, r int, cfg replica.Config, journal bool) (*replica.Set, blocks.Lease, blocks.Pin, []blocks.Block) {
	t.Helper()
	key := blockstest.Key(1)
	self, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	mem := new(blockstest.Mem)
	var bs []blocks.Block
	var hs []mh.Multihash
	for i := range n {
		bs = append(bs, blocks.New(cid.Raw, blockstest.Random(uint64(i), 100)))
		hs = append(hs, bs[i].Hash())
	}
	l, err := blocks.Grant(key, blocks.Lease{Root: bs[n-1].Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(time.Hour), R: r})
	if err != nil {
		t.Fatal(err)
	}
	pin := blocks.Pin{Root: l.Root, Blocks: n, Lease: l.ID(), Pending: true}
	listed := pin
	listed.Pending = journal
	if err := errors.Join(mem.Put(t.Context(), bs...), mem.Hold(t.Context(), l, hs...), mem.Pin(t.Context(), listed)); err != nil {
		t.Fatal(err)
	}
	s := replica.New(self, mem, mem, w, w, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s, l, pin, bs
}

// Every block gets to exactly the r closest, and the wait ends with its level.
func TestBlocksGetToTheirClosest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d", "e", "f", "g", "h")
		s, l, pin, bs := publisher(t, w, 20, 3)
		p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil)
		if err != nil || p.Safe != 20 || p.Copies[3] != 20 {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, b := range bs {
			near, _, _ := w.Closest(t.Context(), b.Hash(), 3)
			for _, q := range w.peers {
				if ok, _ := w.have[q].Has(t.Context(), b.Hash()); ok != slices.Contains(near, q) {
					t.Errorf("%s at %s: %v", b, q, ok)
				}
			}
		}
	})
}

// Who refuses is passed over for the next closest; the put is whole all the same.
func TestNextClosestTakesThePlaceOfWhoFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d", "e", "f")
		w.take["a"] = func(context.Context) error { return &wire.Refusal{Code: wire.Full, Reason: "full"} }
		s, l, pin, _ := publisher(t, w, 10, 3)
		if p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil); err != nil || p.Copies[3] != 10 {
			t.Fatalf("%+v, %v", p, err)
		}
	})
}

// A quorum does not wait for a slow holder, a full put does.
func TestQuorumDoesNotWaitForTheSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d", "e")
		w.take["a"] = func(context.Context) error { time.Sleep(4 * time.Second); return nil } // less than the linger
		s, l, pin, _ := publisherWith(t, w, 1, 5, replica.Config{PutIdle: 10 * time.Second, Every: time.Minute, Fanout: 5})
		t0, j := time.Now(), s.Queue(l, pin)
		if _, err := j.Wait(t.Context(), blocks.WaitQuorum, nil); err != nil || time.Since(t0) > time.Second {
			t.Fatalf("quorum after %v, %v", time.Since(t0), err)
		}
		if _, err := j.Wait(t.Context(), blocks.WaitFull, nil); err != nil || time.Since(t0) != 4*time.Second {
			t.Fatalf("full after %v, %v", time.Since(t0), err)
		}
	})
}

// Two holders that hang cost a put one linger, not one each block and time-out: the next
// closest take their places.
func TestHungHoldersCostOneLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d", "e", "f", "g")
		hang := func(ctx context.Context) error {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
			}
			return errors.New("no answer")
		}
		w.take["a"], w.take["b"] = hang, hang
		s, l, pin, _ := publisher(t, w, 40, 5)
		t0 := time.Now()
		p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil)
		if err != nil || p.Safe != 40 {
			t.Fatalf("%+v, %v", p, err)
		}
		if d := time.Since(t0); d > 12*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// When nothing moves any more the put says which blocks are short, in time, and the
// journal stays open; when the holders come back it is finished without being asked.
func TestShortPutIsFinishedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d")
		no := func(context.Context) error { return &wire.Refusal{Code: wire.Busy, Reason: "busy"} }
		w.take["a"], w.take["b"] = no, no
		s, l, pin, _ := publisher(t, w, 3, 4)
		t0 := time.Now()
		_, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitQuorum, nil)
		var short *blocks.ShortError
		if !errors.As(err, &short) || short.Short != 3 || short.Have != 2 || short.Want != 3 || len(short.Blocks) != 3 {
			t.Fatalf("err = %+v", err)
		}
		if d := time.Since(t0); d < 10*time.Second || d > 15*time.Second {
			t.Errorf("gave up after %v, want 10 s without an ack", d)
		}
		w.mu.Lock()
		w.take = map[peer.ID]func(context.Context) error{}
		w.mu.Unlock()
		time.Sleep(3 * time.Minute)
		for _, p := range w.peers {
			if n := count(w.have[p]); n != 3 {
				t.Errorf("%s has %d blocks, want 3", p, n)
			}
		}
	})
}

// No other peer: said at once, with nothing lost.
func TestAloneIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l, pin, _ := publisher(t, newWorld(), 2, 3)
		t0 := time.Now()
		_, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitQuorum, nil)
		var short *blocks.ShortError
		if !errors.As(err, &short) || short.Members != 0 || time.Since(t0) > time.Second {
			t.Fatalf("after %v: %v", time.Since(t0), err)
		}
	})
}

// Placing waits while the window is full: 20 blocks on one holder, four at a time, a
// second each, take exactly five seconds.
func TestWindowIsTheBrake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a")
		w.take["a"] = func(context.Context) error { time.Sleep(time.Second); return nil }
		s, l, pin, _ := publisher(t, w, 20, 1)
		t0 := time.Now()
		if _, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil); err != nil || time.Since(t0) != 5*time.Second {
			t.Fatalf("took %v, %v", time.Since(t0), err)
		}
	})
}

// A put costs each holder a few offers, however many its blocks are.
func TestBlocksGoInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c")
		s, l, pin, _ := publisherOf(t, w, 1000, 3, replica.Config{PutIdle: 10 * time.Second, Every: time.Minute}, false)
		if p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil); err != nil || p.Copies[3] != 1000 {
			t.Fatalf("%+v, %v", p, err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.offers > 3*(1000/128+1) {
			t.Errorf("%d offers for 1,000 blocks on 3 holders", w.offers)
		}
	})
}

// A holder that takes some of what it is offered and then hangs holds up nobody for long,
// and what it did not take goes to the next closest.
func TestWhatAHungHolderDidNotTakeGoesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d", "e")
		for _, p := range []peer.ID{"a", "b"} {
			w.part[p] = 10
		}
		s, l, pin, _ := publisherWith(t, w, 60, 4, replica.Config{PutIdle: 30 * time.Second, Every: time.Minute, Linger: 3 * time.Second})
		t0 := time.Now()
		p, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitQuorum, nil)
		if err != nil || p.Safe != 60 {
			t.Fatalf("%+v, %v", p, err)
		}
		if d := time.Since(t0); d > 10*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// A peer that claims what it does not have is not counted, also when who asks does
// not have the block either.
func TestLiarIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d")
		s, l, pin, bs := publisher(t, w, 1, 4)
		if _, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitFull, nil); err != nil {
			t.Fatal(err)
		}
		if err := w.have["a"].Delete(t.Context(), bs[0].Hash()); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.liar = "a"
		w.mu.Unlock()
		stranger := replica.New("z", new(blockstest.Mem), new(blockstest.Mem), w, w, replica.Config{})
		for name, asker := range map[string]*replica.Set{"publisher": s, "stranger": stranger} {
			h, err := asker.Health(t.Context(), l.Root, []replica.Sized{{CID: bs[0].Cid(), Size: 100}}, w.have["b"])
			if err != nil || h.Min != 3 || h.Target != 4 || slices.Contains(h.Holders, "a") || h.Good() {
				t.Errorf("%s: %+v, %v", name, h, err)
			}
		}
	})
}

func count(m *blockstest.Mem) (n int) {
	for range m.All(context.Background()) {
		n++
	}
	return n
}

// What is given to others has an end: then an offer is refused as full, and what is
// held already is not.
func TestQuotaIsNotExceeded(t *testing.T) {
	key := blockstest.Key(7)
	w, mem := newWorld("me", "a", "b"), new(blockstest.Mem)
	s := replica.New("me", mem, mem, w, w, replica.Config{Quota: 250})
	for i, want := range []bool{true, true, false} { // two of 100 bytes fit
		b := blocks.New(cid.Raw, blockstest.Random(uint64(i), 100))
		l, err := blocks.Grant(key, blocks.Lease{Root: b.Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(time.Hour), R: 3})
		if err != nil {
			t.Fatal(err)
		}
		offer := []wire.Item{{Hash: b.Hash(), Size: 100}}
		says, err := s.Offer(t.Context(), "a", l, offer)
		if err != nil || says[0] != map[bool]wire.Status{true: 0, false: wire.Full}[want] {
			t.Fatalf("block %d: %v, %v; want room %v", i, says, err, want)
		}
		if !want {
			continue
		}
		if err := s.Keep(t.Context(), "a", l, b); err != nil {
			t.Fatal(err)
		}
		if says, err := s.Offer(t.Context(), "a", l, offer); err != nil || says[0] != wire.Have {
			t.Errorf("block %d again: %v, %v", i, says, err)
		}
	}
}

// A second put of one root asks for more copies while the first is still under way: who
// waits for it is not told that it is done before it has them.
func TestNewerLeaseTakesThePlaceOfTheOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c", "d")
		slow := func(context.Context) error { time.Sleep(3 * time.Second); return nil }
		w.take["a"], w.take["b"], w.take["c"], w.take["d"] = slow, slow, slow, slow
		s, l, pin, bs := publisher(t, w, 5, 1)
		first := s.Queue(l, pin)
		time.Sleep(time.Second)
		newer := l
		newer.Seq, newer.R = 2, 4
		newer, err := blocks.Grant(blockstest.Key(1), newer)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Queue(newer, pin).Wait(t.Context(), blocks.WaitFull, nil)
		if err != nil || p.Target != 4 || p.Copies[4] != 5 {
			t.Fatalf("%+v, %v; want 5 blocks with 4 copies", p, err)
		}
		for _, b := range bs {
			for _, q := range w.peers {
				if ok, _ := w.have[q].Has(t.Context(), b.Hash()); !ok {
					t.Errorf("%s is not at %s", b, q)
				}
			}
		}
		if _, err := first.Wait(t.Context(), blocks.WaitFull, nil); err != nil {
			t.Errorf("who waited for the older one: %v", err)
		}
	})
}

// Holders that all hang end a put within its patience, not with their connections.
func TestAllHungEndsWithinThePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c")
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		w.take["a"], w.take["b"], w.take["c"] = hang, hang, hang
		s, l, pin, _ := publisher(t, w, 30, 3)
		t0 := time.Now()
		_, err := s.Queue(l, pin).Wait(t.Context(), blocks.WaitQuorum, nil)
		var short *blocks.ShortError
		if !errors.As(err, &short) || short.Have != 0 {
			t.Fatalf("err = %v", err)
		}
		if d := time.Since(t0); d > 12*time.Second {
			t.Errorf("gave up after %v, want 10 s", d)
		}
	})
}
