package wire

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"pgregory.net/rapid"
)

// mangler does to what is written through it what a drawn plan says: every so many writes
// it flips a bit, leaves out some bytes, writes them twice, swaps two writes, or ends it all.
type mangler struct {
	io.Writer
	plan  map[int]string // by the number of the write
	at    int            // byte of a write at which it is done
	reset func()

	mu   sync.Mutex
	n    int    // guarded by mu
	held []byte // guarded by mu: to be written after the next
}

func (m *mangler) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out, at := bytes.Clone(b), m.at%len(b)
	switch m.plan[m.n] {
	case "flip":
		out[at] ^= 1 << (m.at % 8)
	case "cut":
		out = out[:at]
	case "twice":
		out = append(out, out[at:]...)
	case "swap":
		m.n++
		m.held = append(m.held, out...)
		return len(b), nil
	case "end":
		m.reset()
	}
	m.n++
	out = append(out, m.held...)
	m.held = nil
	if _, err := m.Writer.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// mangling is what is done to one direction of a stream.
type mangling struct {
	plan map[int]string
	at   int
}

func drawMangling(t *rapid.T, name string) mangling {
	return mangling{at: rapid.IntRange(0, 1<<16).Draw(t, name+" at"),
		plan: rapid.MapOfN(rapid.IntRange(0, 8), rapid.SampledFrom([]string{"flip", "cut", "twice", "swap", "end"}), 0, 3).Draw(t, name)}
}

func (m mangling) of(l *link) { l.w = &mangler{Writer: l.w, reset: l.reset, plan: m.plan, at: m.at} }

// Invariant 5: whatever happens to the bytes between two peers, what one of them keeps or
// hands out is what its multihash says; and both come to an end.
func TestNoWrongBytesWhateverTheLineDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var bs []blocks.Block
		for i, n := range rapid.SliceOfN(rapid.IntRange(1, 20<<10), 1, 5).Draw(rt, "sizes") {
			bs = append(bs, blocks.New(cid.Raw, blockstest.Random(uint64(i), n)))
		}
		there, back := drawMangling(rt, "there"), drawMangling(rt, "back")
		synctest.Test(t, func(*testing.T) {
			near, far := pipe()
			there.of(near)
			back.of(far)
			mem := new(blockstest.Mem)
			sv := newService(mem, mem, keeper{mem}, Config{})
			var wg sync.WaitGroup
			wg.Go(func() {
				_ = (&exchange{service: sv, from: "asker", l: far}).guarded(context.Background())
				far.reset()
			})
			items := make([]Item, len(bs))
			for i, b := range bs {
				items[i] = Item{Hash: b.Hash(), Size: len(b.RawData())}
			}
			_ = newOffering(near, items, func(int, Ack) {}).run(context.Background(), lease(t, bs[0].Cid()), Put, lentAll(t, bs))
			near.reset()
			wg.Wait()
			for h := range mem.All(context.Background()) {
				got, err := mem.Get(context.Background(), blocks.Key(h))
				if is := blocks.New(cid.Raw, got.RawData()).Hash(); err != nil || !bytes.Equal(is, h) {
					rt.Errorf("kept %s under %s, %v", is.B58String(), h.B58String(), err)
				}
			}
			if sv.room.free != globalCredit {
				rt.Errorf("%d bytes are left reserved", globalCredit-sv.room.free)
			}
		})
	})
}

// Its other half: what a get gives is what was asked for, or an error, in time.
func TestNoWrongBytesAreFetchedWhateverTheLineDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var bs []blocks.Block
		for i, n := range rapid.SliceOfN(rapid.IntRange(1, 20<<10), 1, 5).Draw(rt, "sizes") {
			bs = append(bs, blocks.New(cid.Raw, blockstest.Random(uint64(i), n)))
		}
		back := drawMangling(rt, "back")
		synctest.Test(t, func(t *testing.T) {
			st := new(blockstest.Mem)
			if err := st.Put(t.Context(), bs...); err != nil {
				t.Fatal(err)
			}
			sv := newService(st, st, keeper{st}, Config{})
			c, p := pair(t, func(h host.Host) {
				h.SetStreamHandler(Protocol, func(s network.Stream) {
					l := newLink(s)
					back.of(l)
					_ = (&exchange{service: sv, from: "asker", l: l}).guarded(context.Background())
					_ = s.Reset()
				})
			})
			var wg sync.WaitGroup
			for _, b := range bs {
				wg.Go(func() {
					t0 := time.Now()
					got, err := c.Fetch(context.Background(), p, b.Cid())
					if err == nil && !bytes.Equal(got.RawData(), b.RawData()) {
						rt.Errorf("wrong bytes for %s", b.Cid())
					}
					if d := time.Since(t0); d > 2*longest {
						rt.Errorf("took %v", d)
					}
				})
			}
			wg.Wait()
		})
	})
}
