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
