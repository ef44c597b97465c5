package replica_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// keeping is a set that is near everything, and keeps what it is brought in mem.
func keeping(t testing.TB, cfg replica.Config) (*replica.Set, *blockstest.Mem) {
	t.Helper()
	self, err := peer.IDFromPrivateKey(blockstest.Key(50))
	if err != nil {
		t.Fatal(err)
	}
	w, mem := newWorld(self), new(blockstest.Mem)
	return replica.New(self, mem, mem, w, w, cfg), mem
}

// bring offers b as a stranger does, and delivers it when it is wanted.
func bring(ctx context.Context, s *replica.Set, l blocks.Lease, b blocks.Block) (wire.Status, error) {
	st, err := s.Offer(ctx, "stranger", l, []wire.Item{{Hash: b.Hash(), Size: len(b.RawData())}})
	if err != nil || st[0] != 0 {
		return append(st, 0)[0], err
	}
	err = s.Keep(ctx, "stranger", l, b)
	var no *wire.Refusal
	if errors.As(err, &no) {
		return no.Code, nil
	}
	return wire.Stored, err
}

func bytesOf(seed uint64, n int) blocks.Block { return blocks.New(cid.Raw, blockstest.Random(seed, n)) }

// heldBytes is what mem holds for others, counted block by block.
func heldBytes(t testing.TB, mem *blockstest.Mem) (sum int64) {
	t.Helper()
	for h, err := range mem.Held(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n, err := mem.Size(t.Context(), h.Hash)
		if err != nil {
			t.Fatal(err)
		}
		sum += int64(n)
	}
	return sum
}

// However many bring how much at the same time, under how many leases, the same blocks
// too: no more is held than the quota, the count is exact, and a publisher with less than
// his share is never refused for what others have (invariant 9).
func TestTheQuotaHoldsUnderConcurrency(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			const quota = 10_000
			s, mem := keeping(t, replica.Config{Quota: quota, LeastShare: 500, PeerRate: -1})
			ctx := t.Context()
			type job struct {
				l blocks.Lease
				b blocks.Block
			}
			var jobs []job
			for range rapid.IntRange(1, 60).Draw(rt, "jobs") {
				jobs = append(jobs, job{
					grant(t, rapid.Uint64Range(1, 4).Draw(rt, "publisher"), 1, nil),
					bytesOf(rapid.Uint64Range(1, 25).Draw(rt, "block"), rapid.SampledFrom([]int{10, 400, 1000}).Draw(rt, "size")),
				})
			}
			var wg sync.WaitGroup
			for _, j := range jobs {
				wg.Go(func() {
					if _, err := bring(ctx, s, j.l, j.b); err != nil {
						t.Error(err)
					}
					if used, _ := s.Space(); used > quota {
						t.Errorf("%d bytes are held, %d may be", used, quota)
					}
				})
			}
			wg.Wait()
			if used, _ := s.Space(); used != heldBytes(t, mem) || used > quota {
				rt.Fatalf("%d bytes are counted, %d are held, %d may be", used, heldBytes(t, mem), quota)
			}
		})
	})
}

// Most of the space is anybody's. What is left of it a publisher gets up to an equal
// share: who has more is refused, who has less is not.
func TestWhoHasMoreThanHisShareIsRefusedAndNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := keeping(t, replica.Config{Quota: 10_000, LeastShare: 100, PeerRate: -1})
		greedy, modest := grant(t, 1, 1, nil), grant(t, 2, 1, nil)
		for i := range uint64(7) { // up to 70 %
			if st, err := bring(t.Context(), s, greedy, bytesOf(i, 1000)); st != wire.Stored || err != nil {
				t.Fatalf("block %d: %s, %v", i, st, err)
			}
		}
		if st, _ := bring(t.Context(), s, modest, bytesOf(20, 1000)); st != wire.Stored {
			t.Errorf("who has nothing: %s", st)
		}
		if st, _ := bring(t.Context(), s, greedy, bytesOf(8, 1000)); st != wire.Quota {
			t.Errorf("who has 70 %% of it all: %s", st)
		}
		if st, _ := bring(t.Context(), s, greedy, bytesOf(3, 1000)); st != wire.Have {
			t.Errorf("what is held already: %s", st)
		}
		for i := range uint64(2) {
			if st, _ := bring(t.Context(), s, modest, bytesOf(21+i, 1000)); st != wire.Stored {
				t.Errorf("who has less than his share: %s", st)
			}
		}
		if st, _ := bring(t.Context(), s, modest, bytesOf(30, 1000)); st != wire.Full {
			t.Errorf("when there is no space at all: %s", st)
		}
		select {
		case <-s.Pressed():
		default:
			t.Error("nobody was told that space is wanted")
		}
	})
}

// A lease holds what it says that there is, and not a byte more; what it holds already
// may be brought again.
func TestALeaseHoldsNoMoreThanItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mem := keeping(t, replica.Config{PeerRate: -1})
		l := grant(t, 1, 1, func(l *blocks.Lease) { l.Bytes = 2000 })
		for i := range uint64(2) {
			if st, _ := bring(t.Context(), s, l, bytesOf(i, 1000)); st != wire.Stored {
				t.Fatalf("block %d: %s", i, st)
			}
		}
		if st, _ := bring(t.Context(), s, l, bytesOf(2, 1)); st != wire.BadLease {
			t.Errorf("a byte more: %s", st)
		}
		if err := s.Keep(t.Context(), "stranger", l, bytesOf(2, 1)); err == nil {
			t.Error("a byte more without an offer was kept")
		}
		if err := mem.Delete(t.Context(), bytesOf(1, 1000).Hash()); err != nil {
			t.Fatal(err)
		}
		if st, _ := bring(t.Context(), s, l, bytesOf(1, 1000)); st != wire.Stored {
			t.Errorf("what was lost: %s", st)
		}
	})
}

// A lease that was revoked is not brought back by an older one that is still signed and
// has not run out; one that was renewed counts as renewed.
func TestAnOlderLeaseIsNotTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mem := keeping(t, replica.Config{PeerRate: -1})
		one, b := grant(t, 1, 1, nil), bytesOf(1, 100)
		if st, _ := bring(t.Context(), s, one, b); st != wire.Stored {
			t.Fatal(st)
		}
		two := grant(t, 1, 2, func(l *blocks.Lease) { l.State = blocks.LeaseRevoked })
		if err := replica.LeaseNews(mem)(t.Context(), replica.LeaseRecord(two)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // while the block is here, and after it has gone
			if st, _ := bring(t.Context(), s, one, b); st != wire.BadLease {
				t.Errorf("the revoked lease: %s", st)
			}
			if gone, err := s.Forget(t.Context(), b.Hash()); err != nil {
				t.Error(gone, err)
			}
		}
		if err := s.Keep(t.Context(), "stranger", one, b); err == nil {
			t.Error("the revoked lease: kept")
		}
		if used, _ := s.Space(); used != 0 {
			t.Errorf("%d bytes are counted, none are held", used)
		}
		three := grant(t, 1, 3, nil)
		if st, _ := bring(t.Context(), s, three, b); st != wire.Stored {
			t.Errorf("granted anew: %s", st)
		}
		if st, _ := bring(t.Context(), s, one, bytesOf(2, 100)); st != wire.Stored {
			t.Errorf("the first one again: %s", st)
		}
		if ls, _ := mem.Leases(t.Context(), bytesOf(2, 100).Hash()); len(ls) != 1 || ls[0].Seq != 3 {
			t.Errorf("held under %+v, want number 3", ls)
		}
	})
}

// What a lease that stands holds is never forgotten, and a clock that is an hour wrong
// loses nothing (invariants 10 and 17).
func TestWhatIsLeasedIsNeverForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mem := keeping(t, replica.Config{PeerRate: -1})
		l := grant(t, 1, 1, nil)
		b := bytesOf(1, 100)
		if st, _ := bring(t.Context(), s, l, b); st != wire.Stored {
			t.Fatal(st)
		}
		for _, at := range []time.Duration{0, 24*time.Hour - time.Second, 24*time.Hour + 59*time.Minute} {
			time.Sleep(time.Until(l.Issued.Add(at)))
			if gone, err := s.Forget(t.Context(), b.Hash()); err != nil || len(gone) > 0 {
				t.Fatalf("after %v: forgot %d, %v", at, len(gone), err)
			}
		}
		time.Sleep(2 * time.Minute)
		if ok, _ := mem.Has(t.Context(), b.Hash()); !ok {
			t.Fatal("gone without anybody's asking")
		}
		if gone, err := s.Forget(t.Context(), b.Hash()); err != nil || len(gone) != 1 {
			t.Errorf("when it is over: forgot %d, %v", len(gone), err)
		}
	})
}

// One peer brings no more than its rate in the long run; another is not held up by that.
func TestAPeerIsHeldToItsRate(t *testing.T) {
	for _, limited := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			cfg := replica.Config{PeerRate: 10_000}
			if !limited {
				cfg.PeerRate = -1
			}
			s, _ := keeping(t, cfg)
			l, t0 := grant(t, 1, 1, nil), time.Now()
			for i := range uint64(20) { // 200,000 bytes: 80,000 at once, the rest at 10,000 a second
				if st, err := bring(t.Context(), s, l, bytesOf(i, 10_000)); st != wire.Stored {
					t.Fatal(st, err)
				}
			}
			if d := time.Since(t0); limited != (d > 11*time.Second) || d > 13*time.Second {
				t.Errorf("limited %v: took %v", limited, d)
			}
			t1 := time.Now()
			if err := s.Keep(t.Context(), "another", l, bytesOf(99, 10_000)); err != nil || time.Since(t1) > time.Second {
				t.Errorf("another peer waited %v, %v", time.Since(t1), err)
			}
		})
	}
}

// A block is held under 16 leases of others. The 17th is refused, clearly and counted; a renewal
// of one of the 16 is not, and neither is a newcomer when one of them is over. What the peer
// tells of its leases has the one that decides.
func TestTheSeventeenthLeaseIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mem := keeping(t, replica.Config{PeerRate: -1})
		b := bytesOf(1, 100)
		of := func(who, seq uint64) blocks.Lease {
			return grant(t, 100+who, seq, func(l *blocks.Lease) { l.Expires = l.Issued.Add(time.Duration(30+who) * time.Hour) })
		}
		for i := range uint64(wire.MaxLeases) {
			if st, err := bring(t.Context(), s, of(i, 1), b); st != wire.Stored && st != wire.Have || err != nil {
				t.Fatalf("lease %d: %s, %v", i+1, st, err)
			}
		}
		if st, _ := bring(t.Context(), s, of(16, 1), b); st != wire.Leased || s.Overleased() != 1 {
			t.Errorf("the 17th: %s, counted %d times", st, s.Overleased())
		}
		var no *wire.Refusal
		if err := s.Keep(t.Context(), "stranger", of(16, 1), b); !errors.As(err, &no) || no.Code != wire.Leased || no.Code.String() == "" {
			t.Errorf("the 17th without an offer: %v", err)
		}
		if st, _ := bring(t.Context(), s, of(0, 2), b); st != wire.Have {
			t.Errorf("the first, renewed: %s", st)
		}
		if st, _ := bring(t.Context(), s, of(16, 1), bytesOf(2, 100)); st != wire.Stored {
			t.Errorf("another block under the 17th: %s", st)
		}
		if ls, err := mem.Leases(t.Context(), b.Hash()); err != nil || len(ls) != wire.MaxLeases {
			t.Errorf("%d leases, %v", len(ls), err)
		}
		time.Sleep(32 * time.Hour) // two of them are over
		if st, _ := bring(t.Context(), s, grant(t, 200, 1, nil), b); st != wire.Have {
			t.Errorf("when there is room for one: %s", st)
		}
	})
}

// A block that is here already, because it was read, counts as the bytes that it has, and not as
// those that its offer says: neither the space nor what a lease says can be passed by that.
func TestWhatIsHereCountsAsWhatItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mem := keeping(t, replica.Config{Quota: 1500, PeerRate: -1})
		read := []blocks.Block{bytesOf(1, 1000), bytesOf(2, 1000)}
		if err := mem.Put(t.Context(), read...); err != nil {
			t.Fatal(err)
		}
		offer := func(l blocks.Lease, b blocks.Block) wire.Status {
			says, err := s.Offer(t.Context(), "stranger", l, []wire.Item{{Hash: b.Hash(), Size: 1}})
			if err != nil {
				t.Fatal(err)
			}
			return says[0]
		}
		if st := offer(grant(t, 1, 1, func(l *blocks.Lease) { l.Bytes = 999 }), read[0]); st != wire.BadLease {
			t.Errorf("more than its lease says: %s", st)
		}
		l := grant(t, 2, 1, nil)
		if st := offer(l, read[0]); st != wire.Have {
			t.Errorf("what there is room for: %s", st)
		}
		if st := offer(l, read[1]); st != wire.Full {
			t.Errorf("what there is no room for: %s", st)
		}
		if used, _ := s.Space(); used != heldBytes(t, mem) {
			t.Errorf("%d bytes are counted, %d are held", used, heldBytes(t, mem))
		}
	})
}
