package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"
)

// pipe is the two ends of a stream that holds nothing: who writes waits for who reads.
func pipe() (a, b *link) {
	x, y := net.Pipe()
	end := func(c net.Conn) *link {
		return &link{r: bufio.NewReader(c), w: c, pen: make(chan struct{}, 1), reset: func() { _ = x.Close(); _ = y.Close() },
			readBy:  func(d time.Duration) { _ = c.SetReadDeadline(time.Now().Add(d)) },
			writeBy: func(d time.Duration) { _ = c.SetWriteDeadline(time.Now().Add(d)) },
		}
	}
	return end(x), end(y)
}

// meter counts the bytes that were sent and have not come to their end.
type meter struct {
	mu        sync.Mutex
	now, most int64
	by        map[peer.ID]int64
	mostBy    int64
}

func (m *meter) add(p peer.ID, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now += n
	m.by[p] += n
	m.most, m.mostBy = max(m.most, m.now), max(m.mostBy, m.by[p])
}

// metered is a store of random answers: what it lends it counts, and some of it is late
// or cannot be read.
type metered struct {
	*blockstest.Mem
	m    *meter
	p    peer.ID
	late map[string]time.Duration // less than 0: cannot be read
}

func (s metered) View(ctx context.Context, h mh.Multihash, f func([]byte) error) error {
	d := s.late[string(h)]
	if d < 0 {
		return errors.New("cannot be read")
	}
	time.Sleep(d)
	return s.Mem.View(ctx, h, func(b []byte) error {
		s.m.add(s.p, int64(len(b)))
		return f(b)
	})
}

// meteredKeeper takes its time to keep, and counts what is kept.
type meteredKeeper struct {
	keeper
	m    *meter
	slow time.Duration
}

func (k meteredKeeper) Keep(ctx context.Context, from peer.ID, l blocks.Lease, bs ...blocks.Block) error {
	time.Sleep(k.slow)
	err := k.keeper.Keep(ctx, from, l, bs...)
	for _, b := range bs {
		k.m.add(from, -int64(len(b.RawData())))
	}
	return err
}

// drawBlocks makes blocks of 1 B to 64 KiB for one peer, all different.
func drawBlocks(t *rapid.T, p peer.ID) (bs []blocks.Block, late map[string]time.Duration) {
	late = map[string]time.Duration{}
	for i, size := range rapid.SliceOfN(rapid.IntRange(1, 64<<10), 1, 20).Draw(t, "sizes") {
		b := blocks.New(cid.Raw, append(fmt.Appendf(nil, "%s %d ", p, i), make([]byte, size)...)[:max(size, 12)])
		bs = append(bs, b)
		late[string(b.Hash())] = time.Duration(rapid.IntRange(-5, 50).Draw(t, "late")) * time.Millisecond
	}
	return bs, late
}

// Invariant 8, of who takes: however many bring however much, however slow: what was sent and is not on the disk is
// never more than the budget, every item comes to its end, and everything is given back.
func TestOffersStayWithinTheirCredit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		room := int64(rapid.IntRange(64<<10+12, 1<<20).Draw(rt, "room"))
		slow := time.Duration(rapid.IntRange(0, 300).Draw(rt, "slow")) * time.Millisecond
		var has [][]blocks.Block
		var lates []map[string]time.Duration
		for i := range rapid.IntRange(1, 6).Draw(rt, "peers") {
			bs, late := drawBlocks(rt, peer.ID(fmt.Sprint("peer", i)))
			has, lates = append(has, bs), append(lates, late)
		}
		synctest.Test(t, func(*testing.T) {
			m, mem := &meter{by: map[peer.ID]int64{}}, new(blockstest.Mem)
			sv := newService(mem, mem, meteredKeeper{keeper{mem}, m, slow}, Config{Room: room})
			var wg sync.WaitGroup
			for i, bs := range has {
				p, late := peer.ID(fmt.Sprint("peer", i)), lates[i]
				own := new(blockstest.Mem)
				_ = own.Put(context.Background(), bs...)
				l, items := lease(t, bs[0].Cid()), []Item(nil)
				for _, b := range bs {
					items = append(items, Item{Hash: b.Hash(), Size: len(b.RawData())})
				}
				near, far := pipe()
				wg.Go(func() {
					x := exchange{service: sv, from: p, l: far}
					if err := x.guarded(context.Background()); err != nil {
						rt.Errorf("taking: %v", err)
					}
				})
				wg.Go(func() {
					ends := map[int]Status{}
					err := newOffering(near, items, func(i int, a Ack) { ends[i] = a.Status }).
						run(context.Background(), l, Put, metered{own, m, p, late})
					if err != nil || len(ends) != len(items) {
						rt.Errorf("%d ends of %d, %v", len(ends), len(items), err)
					}
					for i, b := range bs {
						want := Stored
						if late[string(b.Hash())] < 0 {
							want = Failed
						}
						if ends[i] != want {
							rt.Errorf("item %d of %s: %v, want %v", i, p, ends[i], want)
						}
					}
				})
			}
			wg.Wait()
			if m.now != 0 || m.most > room {
				rt.Errorf("%d bytes left, %d at most, room %d", m.now, m.most, room)
			}
			if sv.room.free != room {
				rt.Errorf("%d of %d bytes given back", sv.room.free, room)
			}
		})
	})
}

// Invariant 8, of who asks: of what is asked for no more is on its way than was reserved,
// whatever the order in which it is wanted, checked or given up; and everything comes.
func TestGetsStayWithinTheirCredit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bs, late := drawBlocks(rt, "giver")
		slow := rapid.SliceOfN(rapid.IntRange(0, 100), len(bs), len(bs)).Draw(rt, "slow")
		impatient := rapid.SliceOfN(rapid.IntRange(0, 3), len(bs), len(bs)).Draw(rt, "impatient")
		patient := rapid.Bool().Draw(rt, "patient") // all of them: then what is on its way can be counted
		synctest.Test(t, func(*testing.T) {
			m := &meter{by: map[peer.ID]int64{}}
			mem := new(blockstest.Mem)
			_ = mem.Put(context.Background(), bs...)
			reserved := int64(64<<10 + 12) // of one block; in production of the largest
			st := metered{mem, m, "giver", late}
			sv := newService(st, mem, keeper{mem}, Config{})
			near, far := pipe()
			g := newGetting("giver", newBudget(0))
			g.reserve(reserved)
			var wg, peers sync.WaitGroup
			peers.Go(func() {
				x := exchange{service: sv, from: "asker", l: far}
				if err := x.guarded(context.Background()); err != nil && !errors.Is(err, io.ErrClosedPipe) {
					rt.Errorf("giving: %v", err)
				}
			})
			ctx, stop := context.WithCancel(context.Background())
			peers.Go(func() {
				g.err = g.speak(ctx, near)
				near.reset()
				close(g.done)
			})
			for i, b := range bs {
				wg.Go(func() {
					w, err := g.want(ctx, b.Hash())
					if err != nil {
						rt.Errorf("want: %v", err)
						return
					}
					if !patient && impatient[i] == 0 {
						time.Sleep(time.Duration(slow[i]) * time.Millisecond)
						g.cancel(w)
						return
					}
					select {
					case <-w.end:
					case <-g.done:
						rt.Errorf("ended early: %v", g.err)
						return
					}
					if (w.err != nil) != (late[string(b.Hash())] < 0) {
						rt.Errorf("block %d: %v", i, w.err)
					}
					time.Sleep(time.Duration(slow[i]) * time.Millisecond)
					m.add("giver", -int64(len(w.bytes)))
					g.consumed(len(w.bytes))
				})
			}
			wg.Wait()
			time.Sleep(timeout) // what was given up comes as well, or not
			g.mu.Lock()
			if len(g.wants) != 0 || g.here != 0 {
				rt.Errorf("%d wants and %d bytes left", len(g.wants), g.here)
			}
			g.mu.Unlock()
			if patient && (m.now != 0 || m.most > reserved) {
				rt.Errorf("%d bytes at most on a credit of %d, %d left", m.most, reserved, m.now)
			}
			stop()
			near.reset()
			peers.Wait()
		})
	})
}
