package replica_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// tight is a network of n peers of which the first has a quota, and nobody runs.
func tight(n int, quota int64, cfg replica.Config) (*mesh, peer.ID) {
	cfg.LeastShare, cfg.Full, cfg.Linger = 100, 6*time.Hour, time.Second
	ids := named(n)
	return meshWith(ids, cfg, func(p peer.ID, c *replica.Config) {
		if p == ids[0] {
			c.Quota = quota
		}
	}), ids[0]
}

// of is a lease of publisher number who that lasts for life.
func of(t testing.TB, who uint64, r int, life time.Duration) blocks.Lease {
	t.Helper()
	return grant(t, who, uint64(time.Now().Unix()), func(l *blocks.Lease) {
		l.R, l.Bytes, l.Root, l.Expires = r, 0, bytesOf(1_000_000+who, 10).Cid(), time.Now().Add(life)
	})
}

// sums gives the bytes that at holds for each publisher, by its ledger, and all of them.
func (m *mesh) sums(t testing.TB, at peer.ID) (by map[peer.ID]int64, all int64) {
	t.Helper()
	by = map[peer.ID]int64{}
	for held, err := range m.mem[at].Held(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n, err := m.mem[at].Size(t.Context(), held.Hash)
		if err != nil {
			t.Fatal(err)
		}
		whose := map[peer.ID]bool{}
		for _, l := range held.Leases {
			whose[l.Publisher] = true
		}
		for p := range whose {
			by[p] += int64(n)
		}
		all += int64(n)
	}
	return by, all
}

// One publisher has filled a peer before any other came. The others get their share of it all
// the same, a little each day; what gave way for it is on r other peers, and is not taken
// again soon. The control has nobody give way.
func TestWhoCameFirstDoesNotLockOthersOut(t *testing.T) {
	for _, off := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const r, size = 2, 100
			cfg := replica.Config{R: r, Rate: -1, PeerRate: -1, Quota: -1, Yield: 1000}
			if off {
				cfg.Yield = -1
			}
			m, at := tight(8, 2000, cfg)
			ctx := t.Context()
			greedy, modest := of(t, 1, r, 300*24*time.Hour), of(t, 2, r, 300*24*time.Hour)
			var theirs []blocks.Block
			for i := uint64(0); len(theirs) < 14; i++ { // up to where shares begin to matter
				b := bytesOf(i, size)
				near := m.nearest(b.Hash(), r)
				if !slices.Contains(near, at) {
					continue
				}
				for _, p := range near {
					if st, err := m.bring(t, p, greedy, b); st != wire.Stored {
						t.Fatal(st, err)
					}
				}
				theirs = append(theirs, b)
			}
			for i := uint64(1000); len(theirs) < 20; i++ { // two more fill the rest, and stay under their share
				b := bytesOf(i, size)
				if !slices.Contains(m.nearest(b.Hash(), r), at) {
					continue
				}
				if st, err := m.bring(t, at, of(t, 3+i%2, r, 300*24*time.Hour), b); st != wire.Stored {
					t.Fatal(st, err)
				}
				theirs = append(theirs, b)
			}
			taken := 0
			for i, days := uint64(2000), 0; days < 6; i++ {
				b := bytesOf(i, size)
				if !slices.Contains(m.nearest(b.Hash(), 2*r), at) {
					continue
				}
				st, err := m.bring(t, at, modest, b)
				if err != nil {
					t.Fatal(err)
				}
				if st == wire.Stored {
					taken++
					continue
				}
				out, err := m.set[at].Displace(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if n := m.set[at].HandedOff().Pointers; int64(n) < out.Blocks || out.Kept > 0 {
					t.Errorf("%+v, and %d pointers", out, n)
				}
				time.Sleep(24 * time.Hour)
				days++
			}
			by, all := m.sums(t, at)
			used, _ := m.set[at].Space()
			t.Logf("gives way %v: %d blocks of the newcomer were taken; bytes by publisher %v, %d in all, %d counted", !off, taken, by, all, used)
			if used != all || used > 2000 {
				t.Errorf("%d bytes are counted, %d are held", used, all)
			}
			if off {
				if taken > 0 {
					t.Error("without anybody giving way the newcomer found room too: this test cannot fail")
				}
				return
			}
			if taken < 3 || by[greedy.Publisher] < 500 { // quota / 4 publishers
				t.Errorf("the newcomer has %d blocks, who came first %d bytes", taken, by[greedy.Publisher])
			}
			for _, b := range theirs[:14] {
				others := 0
				for _, p := range m.ids[1:] {
					if st, _ := wire.StateOf(ctx, m.mem[p], m.mem[p], b.Hash()); st == wire.Held {
						others++
					}
				}
				if st, _ := wire.StateOf(ctx, m.mem[at], m.mem[at], b.Hash()); st == wire.Held {
					continue
				}
				if others < r {
					t.Errorf("what gave way is on %d others", others)
				}
				if err := m.mem[at].Delete(ctx, b.Hash()); err != nil {
					t.Fatal(err)
				}
				if st, _ := m.bring(t, at, greedy, b); st != wire.Quota && st != wire.Full {
					t.Errorf("it is taken again at once: %s", st)
				}
			}
		})
	}
}

// bring offers b to at as a stranger does, and delivers it when it is wanted.
func (m *mesh) bring(t testing.TB, at peer.ID, l blocks.Lease, b blocks.Block) (wire.Status, error) {
	t.Helper()
	return bring(t.Context(), m.set[at], l, b)
}

// Whatever is brought, runs out, is withdrawn, is forgotten and gives way, in whatever order:
// what is counted is what is held and never more than the quota; nobody goes below his share,
// and who is not above it loses nothing; what gives way stands under leases only of those
// above theirs, is on r other peers, and what has run out is left to go before it.
func TestGivingWayKeepsTheBooks(t *testing.T) {
	gave, stayed := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			const quota, r, least = 1000, 2, 100
			m, at := tight(6, quota, replica.Config{R: r, Rate: -1, PeerRate: -1, Quota: -1, Yield: quota})
			s, mem, ctx := m.set[at], m.mem[at], t.Context()
			for i := range uint64(rapid.IntRange(0, 9).Draw(rt, "of the first at the start")) {
				b := bytesOf(100+i, 100)
				for _, p := range append(m.nearest(b.Hash(), 2*r)[:r], at) {
					if _, err := m.bring(t, p, of(t, 1, r, 300*time.Hour), b); err != nil {
						rt.Fatal(err)
					}
				}
			}
			for range rapid.IntRange(5, 60).Draw(rt, "steps") {
				who := rapid.SampledFrom([]uint64{1, 2, 3, 4}).Draw(rt, "publisher")
				b := bytesOf(rapid.Uint64Range(1, 60).Draw(rt, "block"), rapid.SampledFrom([]int{100, 200}).Draw(rt, "size"))
				switch rapid.SampledFrom([]string{"bring", "bring", "bring", "bring", "displace", "displace", "withdraw", "wait", "forget"}).Draw(rt, "step") {
				case "bring":
					l := of(t, who, r, time.Duration(rapid.IntRange(1, 72).Draw(rt, "hours"))*time.Hour)
					for range rapid.IntRange(1, 6).Draw(rt, "blocks") {
						b := bytesOf(rapid.Uint64Range(1, 60).Draw(rt, "block"), 100)
						for i, p := range m.nearest(b.Hash(), 2*r) {
							if p == at || i < r && rapid.Bool().Draw(rt, "elsewhere too") {
								if _, err := m.bring(t, p, l, b); err != nil {
									rt.Fatal(err)
								}
							}
						}
					}
				case "withdraw":
					l := of(t, who, r, 24*time.Hour)
					l.State = blocks.LeaseRevoked
					l.Seq++
					over := blockstest.Must(blocks.Grant(blockstest.Key(who), l))
					if err := replica.LeaseNews(mem)(ctx, replica.LeaseRecord(over)); err != nil {
						rt.Fatal(err)
					}
				case "wait":
					time.Sleep(time.Duration(rapid.IntRange(1, 30).Draw(rt, "wait")) * time.Hour)
				case "forget":
					if _, err := s.Forget(ctx, b.Hash()); err != nil {
						rt.Fatal(err)
					}
				case "displace":
					before, _ := m.sums(t, at)
					held := map[string][]blocks.Lease{}
					for h, err := range mem.Held(ctx) {
						if err != nil {
							rt.Fatal(err)
						}
						held[string(h.Hash)] = h.Leases
					}
					out, err := s.Displace(ctx)
					if err != nil {
						rt.Fatal(err)
					}
					gave, stayed = gave+int(out.Blocks), stayed+int(out.Kept)
					after, _ := m.sums(t, at)
					share := max(least, quota/int64(len(before)+1)) // at least: one more may have asked
					for p, n := range before {
						if after[p] < n && (n <= share || after[p] < share) {
							rt.Fatalf("a publisher goes from %d bytes to %d, the share is %d", n, after[p], share)
						}
					}
					for h, ls := range held {
						now, err := mem.Leases(ctx, []byte(h))
						if err != nil {
							rt.Fatal(err)
						}
						if len(now) > 0 {
							continue
						}
						if len(blocks.Standing(ls, time.Now())) == 0 {
							rt.Fatal("what has run out gave way, which is for the collection")
						}
						others := 0
						for _, p := range m.ids[1:] {
							if st, _ := wire.StateOf(ctx, m.mem[p], m.mem[p], []byte(h)); st == wire.Held {
								others++
							}
						}
						if others < r {
							rt.Fatalf("what gave way is on %d others", others)
						}
						for _, l := range ls {
							if before[l.Publisher] <= share {
								rt.Fatalf("it was held for one with %d bytes, the share is %d", before[l.Publisher], share)
							}
						}
					}
				}
				used, _ := s.Space()
				if _, all := m.sums(t, at); used != all || used > quota {
					rt.Fatalf("%d bytes are counted, %d are held, %d may be", used, all, quota)
				}
			}
		})
	})
	t.Logf("%d blocks gave way, %d could not", gave, stayed)
	if gave == 0 {
		t.Error("nothing ever gave way: this test cannot fail")
	}
}

// Somebody who comes and goes does not move the blocks of others to and fro: what gave way is
// not taken again for a day when there is room again, unless few copies are left.
func TestWhatGaveWayIsNotTakenAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const r, size = 2, 100
		m, at := tight(6, 1000, replica.Config{R: r, Rate: -1, PeerRate: -1, Quota: -1, Yield: 1000})
		ctx, life := t.Context(), 300*24*time.Hour
		next := uint64(0)
		near := func(n int) blocks.Block { // the next block that at may keep
			for {
				next++
				if b := bytesOf(next, size); slices.Contains(m.nearest(b.Hash(), n), at) {
					return b
				}
			}
		}
		var theirs []blocks.Block
		for range 7 {
			b := near(r)
			theirs = append(theirs, b)
			for _, p := range append(m.nearest(b.Hash(), 2*r)[:r+1], at) {
				if st, err := m.bring(t, p, of(t, 1, r, life), b); st != wire.Stored && st != wire.Have {
					t.Fatal(st, err)
				}
			}
		}
		for who := range uint64(3) {
			if st, err := m.bring(t, at, of(t, 2+who, r, life), near(r)); st != wire.Stored {
				t.Fatal(st, err)
			}
		}
		guest, b := of(t, 9, r, life), near(r)
		if st, _ := m.bring(t, at, guest, b); st != wire.Full {
			t.Fatalf("the guest at first: %s", st)
		}
		if out, err := m.set[at].Displace(ctx); err != nil || out.Blocks != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		if st, _ := m.bring(t, at, guest, b); st != wire.Stored {
			t.Fatalf("the guest then: %s", st)
		}
		guest.Seq, guest.State = guest.Seq+1, blocks.LeaseRevoked
		over := blockstest.Must(blocks.Grant(blockstest.Key(9), guest))
		if err := replica.LeaseNews(m.mem[at])(ctx, replica.LeaseRecord(over)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.set[at].Forget(ctx, b.Hash()); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(theirs, func(b blocks.Block) bool {
			st, _ := wire.StateOf(ctx, m.mem[at], m.mem[at], b.Hash())
			return st != wire.Held
		})
		gone := theirs[i]
		if err := m.mem[at].Delete(ctx, gone.Hash()); err != nil {
			t.Fatal(err)
		}
		few := of(t, 2, r, life) // of one below his share: nothing but the time is in the way
		if st, _ := m.bring(t, at, few, gone); st != wire.Quota {
			t.Errorf("what gave way: %s", st)
		}
		says, err := m.set[at].Offer(ctx, "somebody", few, []wire.Item{{Hash: gone.Hash(), Size: size, Urgent: true}})
		if err != nil || says[0] != 0 {
			t.Errorf("when few copies are left: %s, %v", says[0], err)
		}
		time.Sleep(25 * time.Hour)
		if st, _ := m.bring(t, at, few, gone); st != wire.Stored {
			t.Errorf("a day later: %s", st)
		}
	})
}

// One block whose neighbourhood cannot be looked at does not keep the others from giving way.
func TestWhatCannotBeLookedAtKeepsNobodyFromGivingWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const r, life = 2, 300 * 24 * time.Hour
		m, at := tight(4, 1000, replica.Config{R: r, Rate: -1, PeerRate: -1, Quota: -1, Yield: 1000})
		for i := range uint64(7) {
			b := bytesOf(i, 100)
			for _, p := range m.ids {
				if st, err := m.bring(t, p, of(t, 1, r, life), b); st != wire.Stored {
					t.Fatal(st, err)
				}
			}
			if m.dark == nil || slices.Compare(b.Hash(), m.dark) < 0 {
				m.dark = b.Hash() // the first that is looked at
			}
		}
		for who := range uint64(3) {
			if st, err := m.bring(t, at, of(t, 2+who, r, life), bytesOf(10+who, 100)); st != wire.Stored {
				t.Fatal(st, err)
			}
		}
		if st, _ := m.bring(t, at, of(t, 9, r, life), bytesOf(20, 100)); st != wire.Full {
			t.Fatalf("the guest: %s", st)
		}
		if out, err := m.set[at].Displace(t.Context()); err != nil || out.Blocks != 1 {
			t.Errorf("%+v, %v", out, err)
		}
	})
}
