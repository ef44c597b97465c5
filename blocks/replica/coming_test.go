package replica_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A block that one peer is bringing is not wanted of another at the same time: the
// second is answered when it is here, or when the first has been silent too long. The
// first itself, who has come back, waits for nothing.
func TestWhatIsComingIsNotWantedTwice(t *testing.T) {
	for name, c := range map[string]struct {
		second peer.ID
		comes  time.Duration // 0: never
		want   wire.Status
		took   time.Duration
	}{
		"comes":       {"b", time.Second, wire.Have, time.Second},
		"never comes": {"b", 0, 0, 1500 * time.Millisecond},
		"comes back":  {"a", 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, mem := newWorld("me", "a", "b"), new(blockstest.Mem)
				s := replica.New("me", mem, mem, w, w, quick)
				b := blocks.New(cid.Raw, blockstest.Random(1, 100))
				l, err := blocks.Grant(blockstest.Key(7), blocks.Lease{Root: b.Cid(), Seq: 1, Issued: time.Now(), Expires: time.Now().Add(time.Hour), R: 3})
				if err != nil {
					t.Fatal(err)
				}
				offer := []wire.Item{{Hash: b.Hash(), Size: 100}}
				if says, err := s.Offer(t.Context(), "a", l, offer); err != nil || says[0] != 0 {
					t.Fatal(says, err)
				}
				if c.comes > 0 {
					time.AfterFunc(c.comes, func() { _ = s.Keep(t.Context(), "a", l, b) })
				}
				t0 := time.Now()
				says, err := s.Offer(t.Context(), c.second, l, offer)
				if err != nil || says[0] != c.want || time.Since(t0) != c.took {
					t.Errorf("%v, %v after %v; want %v after %v", says, err, time.Since(t0), c.want, c.took)
				}
			})
		})
	}
}

// A stranger that announces ever more blocks, and brings one now and then so that it is not
// silent, is remembered of some thousands of them only.
func TestWhatIsSaidToComeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := keeping(t, replica.Config{PeerRate: -1, Linger: 5 * time.Second})
		l, offered := grant(t, 1, 1, func(l *blocks.Lease) { l.Bytes = 0 }), uint64(0)
		for range 40 {
			items := make([]wire.Item, wire.Batch)
			for i := range items {
				items[i] = wire.Item{Hash: bytesOf(offered, 8).Hash(), Size: 8}
				offered++
			}
			if _, err := s.Offer(t.Context(), "stranger", l, items); err != nil {
				t.Fatal(err)
			}
			if err := s.Keep(t.Context(), "stranger", l, bytesOf(1<<40+offered, 8)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		waits := func(n uint64) bool { // for the stranger, when another one offers its block n
			t0 := time.Now()
			if says, err := s.Offer(t.Context(), "another", l, []wire.Item{{Hash: bytesOf(n, 8).Hash(), Size: 8}}); err != nil || says[0] != 0 {
				t.Fatal(says, err)
			}
			return time.Since(t0) > 0
		}
		if waits(offered - 1) {
			t.Errorf("the last of %d blocks is known to come", offered)
		}
		if !waits(0) {
			t.Error("the first one is not known to come: this test cannot fail")
		}
	})
}
