package replica_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// deaf is a part of an archive that hears no answer for a while.
type deaf struct {
	part
	now *atomic.Bool
}

func (d deaf) GetRecord(ctx context.Context, p peer.ID, kind blocks.RecordKind, key mh.Multihash) ([]byte, error) {
	if d.now.Load() {
		return nil, errors.New("no answer")
	}
	return d.part.GetRecord(ctx, p, kind, key)
}

// A holder that is cut off whenever it looks for a newer lease, up to its end, looks again soon
// after: it hears of the renewal, and keeps what it holds.
func TestAHolderThatCouldNotLookLooksAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		a := newArchive(t, 9, replica.RecordsConfig{R: 3})
		old := grant(t, 1, 1, func(l *blocks.Lease) { l.Expires = l.Issued.Add(8 * day) })
		far := a.nearest(old.ID().Key(), 9)
		me, keeper := far[8], far[0] // who is far from the lease's key is told of nothing
		d := deaf{part{a, me}, new(atomic.Bool)}
		mem := a.mems[me]
		records := replica.NewRecords(me, mem, d, d, replica.RecordsConfig{R: 3, News: replica.LeaseNews(mem),
			Kinds: map[blocks.RecordKind]replica.Validator{blocks.LeaseRecord: replica.ValidLease}})
		w, b := newWorld(me), bytesOf(1, 100)
		s := replica.New(me, mem, mem, w, w, replica.Config{Records: records, LeaseEvery: 7 * day})
		if err := s.Keep(t.Context(), "stranger", old, b); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		defer func() { cancel(); wg.Wait() }()
		d.now.Store(true)
		time.Sleep(4 * day)
		renewed := grant(t, 1, 2, func(l *blocks.Lease) { l.Expires = l.Issued.Add(8 * day) })
		if _, _, err := a.recs[keeper].Put(t.Context(), replica.LeaseRecord(renewed)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4*day + 6*time.Hour)
		if l, _, _ := mem.Lease(t.Context(), old.ID()); l.Seq != 1 {
			t.Fatalf("it knows number %d: this test shows nothing", l.Seq)
		}
		d.now.Store(false)
		time.Sleep(2 * day)
		if l, _, err := mem.Lease(t.Context(), old.ID()); err != nil || l.Seq != 2 {
			t.Errorf("two days after it hears again it knows number %d, %v", l.Seq, err)
		}
	})
}
