package replica_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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
	"pgregory.net/rapid"
)

// archive is a network of peers that keep records. Each reaches those that reach says.
type archive struct {
	ready chan struct{}

	mu    sync.Mutex
	ids   []peer.ID
	recs  map[peer.ID]*replica.Records
	mems  map[peer.ID]*blockstest.Mem
	apart func(a, b peer.ID) bool // nil: nobody is
	sent  int                     // messages
}

// part is the archive as one peer sees it.
type part struct {
	*archive
	self peer.ID
}

func newArchive(t testing.TB, n int, cfg replica.RecordsConfig) *archive {
	t.Helper()
	a := &archive{ready: make(chan struct{}), recs: map[peer.ID]*replica.Records{}, mems: map[peer.ID]*blockstest.Mem{}}
	close(a.ready)
	for i := range n {
		id, err := peer.IDFromPrivateKey(blockstest.Key(uint64(100 + i)))
		if err != nil {
			t.Fatal(err)
		}
		mem := new(blockstest.Mem)
		c := cfg
		if c.Kinds == nil {
			c.Kinds = map[blocks.RecordKind]replica.Validator{blocks.LeaseRecord: replica.ValidLease}
			c.News = replica.LeaseNews(mem)
		}
		a.ids, a.mems[id] = append(a.ids, id), mem
		a.recs[id] = replica.NewRecords(id, mem, part{a, id}, part{a, id}, c)
	}
	return a
}

func (a part) Closest(_ context.Context, h mh.Multihash, n int) ([]peer.ID, bool, error) {
	near := slices.DeleteFunc(slices.Clone(a.ids), func(p peer.ID) bool { return p != a.self && a.split(a.self, p) })
	return keyspace.Nearest(keyspace.OfHash(h), near, n), true, nil
}

func (a part) Seats(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, []bool, error) {
	ids, _, err := a.Closest(ctx, h, n)
	return ids, slices.Repeat([]bool{true}, len(ids)), err
}

func (a part) Ready() <-chan struct{}   { return a.ready }
func (a part) Changed() <-chan struct{} { return nil }

func (a *archive) split(x, y peer.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.apart != nil && a.apart(x, y)
}

func (a *archive) part(apart func(a, b peer.ID) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.apart = apart
}

func (a part) count(p peer.ID) error {
	if a.split(a.self, p) {
		return errors.New("unreachable")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent++
	return nil
}

func (a part) PutRecord(ctx context.Context, p peer.ID, r blocks.Record) (wire.Status, []byte, error) {
	if err := a.count(p); err != nil {
		return 0, nil, err
	}
	st, newer, err := a.recs[p].Keep(ctx, a.self, r)
	if err == nil && st != wire.Stored && st != wire.Have && st != wire.Older {
		err = &wire.Refusal{Code: st, Reason: st.String()}
	}
	return st, newer, err
}

func (a part) GetRecord(ctx context.Context, p peer.ID, kind blocks.RecordKind, key mh.Multihash) ([]byte, error) {
	if err := a.count(p); err != nil {
		return nil, err
	}
	value, _, err := a.recs[p].Show(ctx, kind, key)
	return value, err
}

// nearest gives the n peers closest to h.
func (a *archive) nearest(h mh.Multihash, n int) []peer.ID {
	return keyspace.Nearest(keyspace.OfHash(h), a.ids, n)
}

var leased = blocks.New(cid.Raw, []byte("leased")).Cid()

func grant(t testing.TB, key, seq uint64, change func(*blocks.Lease)) blocks.Lease {
	t.Helper()
	l := blocks.Lease{Root: leased, Seq: seq, Issued: time.Now(), Expires: time.Now().Add(24 * time.Hour), Bytes: 1 << 20, R: 3}
	if change != nil {
		change(&l)
	}
	return blockstest.Must(blocks.Grant(blockstest.Key(key), l))
}

// A renewal is R messages, whoever writes it; the keepers and nobody else have it; who
// asks later gets the latest.
func TestARecordIsKeptByTheClosest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 40, replica.RecordsConfig{})
		writer := a.recs[a.ids[7]]
		for seq := range uint64(3) {
			rec := replica.LeaseRecord(grant(t, 1, seq+1, nil))
			a.sent = 0
			w, _, err := writer.Put(t.Context(), rec)
			if err != nil || w.Keepers != 5 || a.sent > 5 {
				t.Fatalf("%d: keepers %d in %d messages, %v; want 5 in 5", seq, w.Keepers, a.sent, err)
			}
			var have []peer.ID
			for _, p := range a.ids {
				if _, ok, _ := a.mems[p].Record(t.Context(), rec.Kind, rec.Key); ok && p != a.ids[7] {
					have = append(have, p)
				}
			}
			if near := slices.DeleteFunc(a.nearest(rec.Key, 5), func(p peer.ID) bool { return p == a.ids[7] }); len(have) != len(near) {
				t.Errorf("%d: kept by %d, want the %d closest", seq, len(have), len(near))
			}
			a.sent = 0
			got, err := a.recs[a.ids[20]].Get(t.Context(), rec.Kind, rec.Key)
			if err != nil || !bytes.Equal(got, rec.Value) || a.sent > 5 {
				t.Errorf("%d: got %d bytes in %d messages, %v", seq, len(got), a.sent, err)
			}
		}
		if _, err := writer.Get(t.Context(), blocks.LeaseRecord, leased.Hash()); !blocks.IsNotFound(err) {
			t.Errorf("a record that nobody wrote: %v", err)
		}
	})
}

// What is bad is never kept, whoever brings it and however: forged, foreign, expired, ahead
// of its time, too long, of no known kind, too large. The clock may be wrong by an hour.
func TestABadRecordIsNeverKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 3, replica.RecordsConfig{})
		ctx, keeper := t.Context(), a.recs[a.ids[0]]
		good := replica.LeaseRecord(grant(t, 1, 5, nil))
		forged := bytes.Clone(good.Value)
		forged[len(forged)-1] ^= 1
		raised := bytes.Clone(good.Value)
		raised[bytes.IndexByte(raised, 0x18)+1] = 9 // its seq, under the old signature
		day := func(d time.Duration) blocks.Record {
			return replica.LeaseRecord(grant(t, 1, 9, func(l *blocks.Lease) { l.Issued, l.Expires = l.Issued.Add(d), l.Issued.Add(d+12*time.Hour) }))
		}
		put := func(r blocks.Record) wire.Status {
			t.Helper()
			st, _, err := keeper.Keep(ctx, a.ids[1], r)
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		for name, r := range map[string]blocks.Record{
			"forged":             {Kind: 1, Key: good.Key, Value: forged},
			"raised":             {Kind: 1, Key: good.Key, Value: raised},
			"foreign key":        {Kind: 1, Key: grant(t, 2, 1, nil).ID().Key(), Value: good.Value},
			"a key of its own":   {Kind: 1, Key: leased.Hash(), Value: good.Value},
			"no lease":           {Kind: 1, Key: good.Key, Value: []byte("no lease")},
			"unknown kind":       {Kind: 2, Key: good.Key, Value: good.Value},
			"too large":          {Kind: 1, Key: good.Key, Value: make([]byte, blocks.MaxRecord+1)},
			"a clock ahead":      day(24 * time.Hour),
			"a clock behind":     day(-24 * time.Hour),
			"a day and a half":   day(36 * time.Hour),
			"longer than 400 d":  replica.LeaseRecord(grant(t, 1, 9, func(l *blocks.Lease) { l.Expires = l.Issued.Add(401 * 24 * time.Hour) })),
			"no copies":          replica.LeaseRecord(grant(t, 1, 9, func(l *blocks.Lease) { l.R = 0 })),
			"a state of its own": replica.LeaseRecord(grant(t, 1, 9, func(l *blocks.Lease) { l.State = 7 })),
		} {
			if st := put(r); st != wire.BadLease {
				t.Errorf("%s: %s", name, st)
			}
			if _, ok, _ := a.mems[a.ids[0]].Record(ctx, r.Kind, r.Key); ok {
				t.Errorf("%s is kept", name)
			}
			if _, _, err := a.recs[a.ids[2]].Put(ctx, r); err == nil {
				t.Errorf("%s could be written", name)
			}
		}
		if refused, _ := keeper.Judged(); refused != 13 {
			t.Errorf("%d refusals counted, want 13", refused)
		}
		for _, d := range []time.Duration{-time.Hour, 0, time.Hour} { // an hour is safe
			l := grant(t, 3, uint64(d/time.Hour+2), func(l *blocks.Lease) { l.Issued = l.Issued.Add(d) })
			if st := put(replica.LeaseRecord(l)); st != wire.Stored {
				t.Errorf("a clock %v wrong: %s", d, st)
			}
		}
	})
}

// The higher number stands, a lower one is answered with it, and the writer hears so.
func TestALowerNumberNeverReplacesAHigher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 8, replica.RecordsConfig{})
		five, four := grant(t, 1, 5, nil), grant(t, 1, 4, func(l *blocks.Lease) { l.Expires = l.Expires.Add(time.Hour) })
		if _, _, err := a.recs[a.ids[0]].Put(t.Context(), replica.LeaseRecord(five)); err != nil {
			t.Fatal(err)
		}
		other := a.ids[slices.IndexFunc(a.ids, func(p peer.ID) bool { return !slices.Contains(a.nearest(five.ID().Key(), 5), p) && p != a.ids[0] })]
		_, newer, err := a.recs[other].Put(t.Context(), replica.LeaseRecord(four))
		if !errors.Is(err, replica.ErrOlder) || !bytes.Equal(newer, five.Marshal()) {
			t.Fatalf("got %v and %d bytes, want the higher one", err, len(newer))
		}
		same := grant(t, 1, 5, func(l *blocks.Lease) { l.Expires = l.Expires.Add(time.Hour) })
		if _, _, err := a.recs[other].Put(t.Context(), replica.LeaseRecord(same)); err != nil {
			t.Fatal(err) // it lasts longer
		}
		near := a.nearest(five.ID().Key(), 5)
		if _, disputed := a.recs[near[0]].Judged(); disputed != 1 {
			t.Errorf("%d disputes counted, want 1", disputed)
		}
	})
}

// plain is a validator of records whose value is a number and anything: seq, then bytes.
func plain(expires time.Time) replica.Validator {
	return func(_ mh.Multihash, value []byte) (uint64, time.Time, error) {
		if len(value) < 8 {
			return 0, time.Time{}, errors.New("too short")
		}
		return binary.BigEndian.Uint64(value), expires, nil
	}
}

// Writers at the same time, in any order, apart and together again: every keeper has the
// same winner in the end, and at none has the number ever gone down (invariant 16).
func TestKeepersAgreeOnTheWinner(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			const kind = 9
			a := newArchive(t, rapid.IntRange(2, 12).Draw(rt, "peers"), replica.RecordsConfig{
				Kinds: map[blocks.RecordKind]replica.Validator{kind: plain(time.Now().Add(time.Hour))}})
			key, best := leased.Hash(), []byte(nil)
			last := map[peer.ID]uint64{}
			check := func() {
				for _, p := range a.ids {
					v, ok, err := a.mems[p].Record(t.Context(), kind, key)
					if err != nil {
						rt.Fatal(err)
					}
					if !ok {
						continue
					}
					if seq := binary.BigEndian.Uint64(v); seq < last[p] {
						rt.Fatalf("number went from %d to %d", last[p], seq)
					} else {
						last[p] = seq
					}
				}
			}
			for i := range rapid.IntRange(1, 8).Draw(rt, "writes") {
				half := rapid.IntRange(0, len(a.ids)).Draw(rt, "half")
				a.part(func(x, y peer.ID) bool { return slices.Index(a.ids, x) < half != (slices.Index(a.ids, y) < half) })
				var wg sync.WaitGroup
				for w := range 2 {
					value := binary.BigEndian.AppendUint64(nil, rapid.Uint64Range(1, 5).Draw(rt, "seq"))
					value = fmt.Appendf(value, "%d %d", i, w)
					if bytes.Compare(value, best) > 0 {
						best = value
					}
					writer := a.recs[a.ids[rapid.IntRange(0, len(a.ids)-1).Draw(rt, "writer")]]
					wg.Go(func() { _, _, _ = writer.Put(t.Context(), blocks.Record{Kind: kind, Key: key, Value: value}) }) // may be told of a later one
				}
				wg.Wait()
				check()
			}
			a.part(nil)
			for range 3 { // the side that healed last hears of it from the closest, in the next round
				for _, p := range a.ids {
					if err := a.recs[p].Level(t.Context()); err != nil {
						rt.Fatal(err)
					}
				}
				check()
			}
			for _, p := range a.nearest(key, 5) {
				if got, _, _ := a.mems[p].Record(t.Context(), kind, key); !bytes.Equal(got, best) {
					rt.Fatalf("%s has %q, want %q", p, got, best)
				}
			}
		})
	})
}

// Keepers that have gone are replaced, by the round of those that are left; what has run
// out is dropped. Without a round nothing of it happens.
func TestRecordsOutliveTheirKeepers(t *testing.T) {
	for _, rounds := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			a := newArchive(t, 20, replica.RecordsConfig{Every: time.Minute})
			rec := replica.LeaseRecord(grant(t, 1, 1, nil))
			if _, _, err := a.recs[a.ids[0]].Put(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			near := a.nearest(rec.Key, 20)
			gone := near[1:5] // of the keepers one is left
			a.part(func(x, y peer.ID) bool { return slices.Contains(gone, x) != slices.Contains(gone, y) })
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			if rounds {
				for _, p := range a.ids {
					wg.Go(func() { _ = a.recs[p].Run(ctx) })
				}
			}
			time.Sleep(5 * time.Minute)
			n := 0
			for _, p := range append(near[5:9:9], near[0]) {
				if _, ok, _ := a.mems[p].Record(t.Context(), rec.Kind, rec.Key); ok {
					n++
				}
			}
			if want := 5; rounds && n != want || !rounds && n >= want {
				t.Errorf("rounds %v: %d of 5 keepers have it", rounds, n)
			}
			time.Sleep(25 * time.Hour)
			stop()
			wg.Wait()
			for _, p := range a.ids {
				if _, ok, _ := a.mems[p].Record(t.Context(), rec.Kind, rec.Key); ok && rounds {
					t.Error("a record that has run out is still there")
				}
			}
		})
	}
}

// Who is full says so, and a stranger's records take no more space than there is.
func TestRecordsHaveALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 1, replica.RecordsConfig{Limit: 3})
		var last wire.Status
		for i := range uint64(5) {
			last, _, _ = a.recs[a.ids[0]].Keep(t.Context(), a.ids[0], replica.LeaseRecord(grant(t, i, 1, nil)))
		}
		if last != wire.Full {
			t.Errorf("the fifth record: %s", last)
		}
		if st, _, _ := a.recs[a.ids[0]].Keep(t.Context(), a.ids[0], replica.LeaseRecord(grant(t, 1, 2, nil))); st != wire.Stored {
			t.Errorf("a renewal when full: %s", st)
		}
	})
}
