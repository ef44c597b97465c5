package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// cutter breaks a stream off after left bytes.
type cutter struct {
	io.Writer
	left  int
	reset func()
}

func (c *cutter) Write(b []byte) (int, error) {
	n := min(len(b), c.left)
	c.left -= n
	if k, err := c.Writer.Write(b[:n]); err != nil || n == len(b) {
		return k, err
	}
	c.reset()
	return n, errors.New("cut")
}

// offerCut offers bs from p to sv over a stream that is cut after so many bytes.
func offerCut(sv *service, p peer.ID, bs []blocks.Block, after int) error {
	own := new(blockstest.Mem)
	_ = own.Put(context.Background(), bs...)
	key := blockstest.Key(1)
	l, err := blocks.Grant(key, blocks.Lease{Root: bs[0].Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(time.Hour), R: 3})
	if err != nil {
		return err
	}
	items := make([]Item, len(bs))
	for i, b := range bs {
		items[i] = Item{Hash: b.Hash(), Size: len(b.RawData())}
	}
	near, far := pipe()
	near.w = &cutter{near.w, after, near.reset}
	done := make(chan error, 1)
	go func() { // ends with the stream; waited for below
		x := exchange{service: sv, from: p, l: far}
		done <- x.guarded(context.Background())
	}()
	err = newOffering(near, items, func(int, Ack) {}).run(context.Background(), l, Put, own)
	near.reset()
	if e := <-done; err == nil {
		err = e
	}
	return err
}

const whole = 1 << 40

// However often and wherever the stream of an offer is cut: in the end the blocks are there,
// each byte of them was brought once, but for less than 4 KiB a cut.
func TestACutOfferGoesOnWhereItWasCut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var bs []blocks.Block
		sum := 0
		for i, n := range rapid.SliceOfN(rapid.IntRange(1, 300<<10), 1, 6).Draw(rt, "sizes") {
			bs = append(bs, blocks.New(cid.Raw, blockstest.Random(uint64(i), n)))
			sum += n
		}
		cuts := rapid.SliceOfN(rapid.IntRange(0, sum), 0, 4).Draw(rt, "cuts")
		synctest.Test(t, func(*testing.T) {
			mem, counts := new(blockstest.Mem), new(Counts)
			sv := newService(mem, mem, keeper{mem}, Config{Counts: counts})
			for _, after := range append(cuts, whole) {
				if err := offerCut(sv, "publisher", bs, after); err != nil && after == whole {
					rt.Fatalf("the one that was not cut: %v", err)
				}
			}
			for i, b := range bs {
				if got, err := mem.Get(context.Background(), b.Cid()); err != nil || string(got.RawData()) != string(b.RawData()) {
					rt.Errorf("block %d: %v", i, err)
				}
			}
			if n := int(counts.Brought(Put) + counts.Cut()); n < sum || n >= sum+1+len(cuts)*remnantLeast {
				rt.Errorf("%d bytes were brought after %d cuts, of which %d in vain; there are %d", n, len(cuts), counts.Cut(), sum)
			}
			if beginnings(sv) > 0 || sv.room.free != globalCredit {
				rt.Errorf("%d beginnings left, %d bytes reserved", beginnings(sv), globalCredit-sv.room.free)
			}
		})
	})
}

// beginnings is how many are kept.
func beginnings(sv *service) int {
	sv.remnants.mu.Lock()
	defer sv.remnants.mu.Unlock()
	return len(sv.remnants.all)
}

// The beginning of a block is gone on with by nobody but its bringer, and not for ever.
func TestABeginningIsItsBringersAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, counts := new(blockstest.Mem), new(Counts)
		sv := newService(mem, mem, keeper{mem}, Config{Counts: counts})
		bs := []blocks.Block{blocks.New(cid.Raw, blockstest.Random(1, 1<<20))}
		begin := func(p peer.ID) {
			t.Helper()
			if err := offerCut(sv, p, bs, 500<<10); err == nil {
				t.Fatal("a stream that is cut ended well")
			}
		}
		begin("one")
		begin("two")
		if beginnings(sv) != 2 {
			t.Errorf("%d beginnings of two bringers", beginnings(sv))
		}
		time.Sleep(remnantTime + time.Second)
		if beginnings(sv) != 0 || counts.Cut() < 900<<10 {
			t.Errorf("%d beginnings later, %d bytes in vain", beginnings(sv), counts.Cut())
		}
		if err := offerCut(sv, "one", bs, whole); err != nil || counts.Brought(Put) != 1<<20 {
			t.Errorf("%d bytes brought, %v", counts.Brought(Put), err)
		}
	})
}

// Who begins much and ends nothing has its own oldest beginnings dropped, and then
// everybody's: never are there more than the limits.
func TestBeginningsHaveLimits(t *testing.T) {
	lost := 0
	r := &remnants{lost: func(n int) { lost += n }}
	for i := range 200 {
		b := blocks.New(cid.Raw, fmt.Append(nil, i))
		r.keep(peer.ID(fmt.Sprint("peer", i%3)), b.Hash(), 2<<20, make([]byte, 1<<20))
		own, sum := map[peer.ID]int{}, 0
		for _, x := range r.all {
			own[x.from] += len(x.bytes)
			sum += len(x.bytes)
		}
		if sum > remnantsAll || own["peer0"] > remnantsEach || sum+lost != (i+1)<<20 {
			t.Fatalf("after %d: %d bytes, %v, %d lost", i, sum, own, lost)
		}
	}
	if last := blocks.New(cid.Raw, fmt.Append(nil, 199)); r.take("peer1", last.Hash(), 2<<20) == nil {
		t.Error("the newest is not there")
	}
	for _, x := range r.all {
		x.clock.Stop()
	}
}
