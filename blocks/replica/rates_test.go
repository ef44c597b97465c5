package replica_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// alley is where peers are who are named for their address: "192.0.2.7/3" is the third there.
type alley struct{}

func (alley) Group(p peer.ID) keyspace.Group {
	addr, _, _ := strings.Cut(string(p), "/")
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return keyspace.Group{}
	}
	return keyspace.GroupOf(a)
}
func (alley) Nearby(mh.Multihash, int) []peer.ID { // the one that keeping makes
	self, err := peer.IDFromPrivateKey(blockstest.Key(50))
	if err != nil {
		panic(err)
	}
	return []peer.ID{self}
}
func (alley) Reach(_ context.Context, ps []peer.ID) (alive, seat []bool) {
	return make([]bool, len(ps)), make([]bool, len(ps))
}

// last fills the 70 hundredths of the space of a set of 100,000 bytes that anybody may take, and
// gives what brings blocks for its rest.
func last(t *testing.T, netDay int64) (s *replica.Set, bring func(from peer.ID, l blocks.Lease, size int) wire.Status) {
	s, _ = keeping(t, replica.Config{Quota: 100_000, LeastShare: 100_000, PeerRate: -1, NetRate: -1, NetDay: netDay, Places: alley{}})
	block := uint64(0)
	bring = func(from peer.ID, l blocks.Lease, size int) wire.Status {
		block++
		b := bytesOf(block, size)
		st, err := s.Offer(t.Context(), from, l, []wire.Item{{Hash: b.Hash(), Size: size}})
		if err != nil {
			t.Fatal(err)
		}
		if st[0] == 0 {
			if err := s.Keep(t.Context(), from, l, b); err != nil {
				t.Fatal(err)
			}
			return wire.Stored
		}
		return st[0]
	}
	for i := range 7 {
		if st := bring(peer.ID(fmt.Sprintf("93.184.%d.1", i)), grant(t, 1000, 1, nil), 10_000); st != wire.Stored {
			t.Fatal(st)
		}
	}
	return s, bring
}

// Somebody with as many ids as he likes in one net gets a hundredth of the space a day of what is
// left when most is taken, others get it the same moment, and the next day he gets as much again.
func TestIdsOfOneNetShareWhatANetGetsADay(t *testing.T) {
	for _, off := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			netDay := int64(1000) // ten blocks
			if off {
				netDay = -1
			}
			s, bring := last(t, netDay)
			who := uint64(3000)
			flood := func() (stored int) {
				for range 50 {
					who++
					switch st := bring(peer.ID(fmt.Sprintf("198.18.7.%d/%d", who%250, who)), grant(t, who, 1, nil), 100); st {
					case wire.Stored:
						stored++
					case wire.Quota:
					default:
						t.Fatal(st)
					}
				}
				return stored
			}
			if n := flood(); off && n != 50 || !off && n != 10 {
				t.Errorf("off %v: the first day %d of 50 blocks were taken", off, n)
			}
			if off {
				return
			}
			if s.Rationed() != 40 {
				t.Errorf("%d refusals are counted", s.Rationed())
			}
			if st := bring("93.184.216.34", grant(t, 2000, 1, nil), 100); st != wire.Stored {
				t.Errorf("another net: %s", st)
			}
			if st := bring("10.0.0.1", grant(t, 2001, 1, nil), 100); st != wire.Stored {
				t.Errorf("of no net: %s", st)
			}
			time.Sleep(24 * time.Hour)
			if n := flood(); n != 10 {
				t.Errorf("the second day %d of 50 blocks were taken", n)
			}
		})
	}
}

// Whoever brings it: what counts is the net of the publisher, where he is seen.
func TestANetIsThePublishers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := keeping(t, replica.Config{Quota: 100_000, LeastShare: 100_000, PeerRate: -1, NetDay: 1000, Places: beside{}})
		l := grant(t, 1, 1, nil)
		taken := 0
		for i := range uint64(100) {
			from := peer.ID(fmt.Sprintf("93.184.%d.1", i)) // a net of its own each
			b := bytesOf(i, 1000)
			st, err := s.Offer(t.Context(), from, l, []wire.Item{{Hash: b.Hash(), Size: 1000}})
			if err != nil {
				t.Fatal(err)
			}
			if st[0] == 0 {
				if err := s.Keep(t.Context(), from, l, b); err != nil {
					t.Fatal(err)
				}
				taken++
			}
		}
		if taken != 70+1 {
			t.Errorf("%d blocks of one publisher were taken", taken)
		}
	})
}

// beside sees every publisher in one net.
type beside struct{ alley }

func (beside) Group(p peer.ID) keyspace.Group {
	if g := (alley{}).Group(p); g.Net.IsValid() {
		return g
	}
	return keyspace.GroupOf(netip.MustParseAddr("198.18.7.1"))
}

// A lease is new for a week from when its first block came here, whatever date it bears; then
// its net has no bound, and no renewal makes it new again.
func TestALeaseIsNewForAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, bring := last(t, 1000)
		from := peer.ID("198.18.7.1")
		dated := func(who, seq uint64) blocks.Lease {
			return grant(t, who, seq, func(l *blocks.Lease) {
				l.Issued = time.Now().Add(-100 * 24 * time.Hour)
				l.Expires = time.Now().Add(100 * 24 * time.Hour)
			})
		}
		many := func(who, seq uint64, n int) (stored int) {
			for range n {
				if bring(from, dated(who, seq), 100) == wire.Stored {
					stored++
				}
			}
			return stored
		}
		if n := many(1, 1, 20); n != 10 {
			t.Errorf("under a lease dated back: %d of 20 blocks", n)
		}
		time.Sleep(7*24*time.Hour - time.Second)
		if n := many(1, 1, 20); n != 10 {
			t.Errorf("just before the week is over: %d of 20 blocks", n)
		}
		time.Sleep(time.Second)
		if n := many(1, 1, 20); n != 20 {
			t.Errorf("after a week: %d of 20 blocks", n)
		}
		if n := many(1, 2, 20); n != 20 {
			t.Errorf("renewed: %d of 20 blocks", n)
		}
		if n := many(2, 1, 20); n != 0 {
			t.Errorf("another lease: %d of 20 blocks", n)
		}
	})
}

// The peers of one net together bring no more than its rate; those of another are not held up.
func TestANetIsHeldToItsRate(t *testing.T) {
	for _, limited := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			cfg := replica.Config{PeerRate: -1, NetRate: 10_000, Places: alley{}}
			if !limited {
				cfg.NetRate = -1
			}
			s, _ := keeping(t, cfg)
			l, t0 := grant(t, 1, 1, nil), time.Now()
			for i := range uint64(20) { // 200,000 bytes: 80,000 at once, the rest at 10,000 a second
				if err := s.Keep(t.Context(), peer.ID(fmt.Sprintf("198.18.7.%d", i)), l, bytesOf(i, 10_000)); err != nil {
					t.Fatal(err)
				}
			}
			if d := time.Since(t0); limited != (d > 11*time.Second) || d > 13*time.Second {
				t.Errorf("limited %v: took %v", limited, d)
			}
			for _, from := range []peer.ID{"198.18.8.1", "10.0.0.1"} {
				t1 := time.Now()
				if err := s.Keep(t.Context(), from, l, bytesOf(99, 10_000)); err != nil || time.Since(t1) > time.Second {
					t.Errorf("%s waited %v, %v", from, time.Since(t1), err)
				}
			}
		})
	}
}

// However many nets there are, no more are remembered than there is place for, and who finds no
// place gets nothing of what is rationed, until the others have had nothing for a day.
func TestNetsThatAreRememberedAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, bring := last(t, 1000)
		l := grant(t, 1, 1, func(l *blocks.Lease) { l.Expires = l.Issued.Add(30 * 24 * time.Hour) })
		for i := range 4100 {
			want := wire.Stored
			if i >= 4096 {
				want = wire.Quota
			}
			if st := bring(peer.ID(fmt.Sprintf("20.%d.%d.1", i/256, i%256)), l, 3); st != want {
				t.Fatalf("net %d: %s, want %s", i+1, st, want)
			}
		}
		time.Sleep(25 * time.Hour)
		if st := bring("21.0.0.1", l, 3); st != wire.Stored {
			t.Errorf("a day later: %s", st)
		}
	})
}
