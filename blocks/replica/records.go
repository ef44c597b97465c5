package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Validator judges the values of one kind of record. It answers an error unless value is
// signed by who may write under key and good at the time of the call; else its sequence
// number, and until when it is good.
type Validator func(key mh.Multihash, value []byte) (seq uint64, expires time.Time, err error)

// RecordPeers reaches the keepers of records.
type RecordPeers interface {
	PutRecord(ctx context.Context, p peer.ID, r blocks.Record) (st wire.Status, newer []byte, err error)
	GetRecord(ctx context.Context, p peer.ID, kind blocks.RecordKind, key mh.Multihash) ([]byte, error)
}

// RecordsConfig is what an operator may set. The zero value is for production, but
// without Kinds it keeps nothing.
type RecordsConfig struct {
	Kinds map[blocks.RecordKind]Validator
	News  func(ctx context.Context, r blocks.Record) error // told of each good value that is newer than what stood here, kept or not, before it is answered; nil: nobody is
	R     int                                              // keepers of a record; 0 is 5
	Every time.Duration                                    // between two looks at the other keepers; 0 is 1 h
	Limit int                                              // records kept; 0 is 131,072
	Rand  *rand.Rand                                       // for jitter; nil is seeded by the system
	Log   *slog.Logger                                     // nil discards
}

func (c RecordsConfig) withDefaults() RecordsConfig {
	if c.R == 0 {
		c.R = 5
	}
	if c.Every == 0 {
		c.Every = time.Hour
	}
	if c.Limit == 0 {
		c.Limit = 1 << 17
	}
	if c.News == nil {
		c.News = func(context.Context, blocks.Record) error { return nil }
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Near is the part of a [Router] that says where a record belongs.
type Near interface {
	Closest(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, exact bool, err error)
	Ready() <-chan struct{}
}

// Records keeps small signed records on the members closest to their keys (recordjudge.go says
// which of two stands, recordask.go asks the others):
//
//	Put: judge → here → the R closest → whoever knew a newer one says so
//	Get: the R closest and here → judge → the winner → those who had an older one
//	Keep: near enough? → judge → does it win? → the disk
//
// Of two good values of a key the one with the higher sequence number wins, then the one
// that lasts longer, then the higher bytes: everybody picks the same. No good value is
// ever replaced by one that loses to it; a bad one is never kept; one that has run out is
// dropped. Two values with one sequence number are reported: their writer has two minds.
//
// [NewRecords] starts nothing. [Records.Run] owns the goroutine that keeps the keepers
// level: the closest one brings its records to the others, they bring theirs to it.
type Records struct {
	self   peer.ID
	store  blocks.RecordStore
	router Near
	peers  RecordPeers
	cfg    RecordsConfig

	mu       sync.Mutex // one value at a time is weighed against what stands here
	kept     int        // guarded by mu: records here; -1: not counted yet
	refused  int64      // guarded by mu: values that were not good
	disputed int64      // guarded by mu: values that share a sequence number with another
}

var _ wire.RecordKeeper = (*Records)(nil)

// NewRecords makes the records that the peer self has a part in.
func NewRecords(self peer.ID, st blocks.RecordStore, r Near, p RecordPeers, cfg RecordsConfig) *Records {
	return &Records{self: self, store: st, router: r, peers: p, cfg: cfg.withDefaults(), kept: -1}
}

// ErrOlder says that the network knows a later value than the one that was to be written.
var ErrOlder = errors.New("replica: a later record is known")

// ErrUnkept says that nobody, this peer included, could be brought to keep a record.
var ErrUnkept = errors.New("replica: nobody keeps the record")

func (r *Records) judge(rec blocks.Record) (judged, error) {
	return judge(r.cfg.Kinds, rec, time.Now())
}

// Keep implements wire.RecordKeeper: a peer keeps what it is one of the 2R closest to.
func (r *Records) Keep(ctx context.Context, from peer.ID, rec blocks.Record) (wire.Status, []byte, error) {
	j, err := r.judge(rec)
	if err != nil {
		r.cfg.Log.Debug("record refused", "peer", from, "kind", rec.Kind, "err", err)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.refused++
		return wire.BadLease, nil, nil
	}
	near, err := r.near(ctx, rec.Key, 2*r.cfg.R)
	if err != nil {
		return wire.Busy, nil, nil //nolint:nilerr // it knows nobody yet: later
	}
	return r.weigh(ctx, rec, j, slices.Contains(near, r.self))
}

// weigh keeps rec unless what stands here wins.
func (r *Records) weigh(ctx context.Context, rec blocks.Record, j judged, mine bool) (wire.Status, []byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, had, err := r.standing(ctx, rec.Kind, rec.Key)
	switch {
	case err != nil:
		return wire.Failed, nil, err
	case had && bytes.Equal(old.value, j.value):
		return wire.Have, nil, nil
	case had && old.seq == j.seq:
		r.disputed++
		r.cfg.Log.Warn("two records have one sequence number", "kind", rec.Kind, "key", rec.Key.B58String(), "seq", j.seq)
	}
	if had && old.wins(j) {
		return wire.Older, old.value, nil
	}
	if err := r.cfg.News(ctx, rec); err != nil {
		return wire.Failed, nil, err
	}
	if !mine && !had {
		return wire.NotResponsible, nil, nil
	}
	if !had {
		if err := r.count(ctx); err != nil {
			return wire.Failed, nil, err
		}
		if r.kept >= r.cfg.Limit {
			return wire.Full, nil, nil
		}
	}
	if err := r.store.PutRecord(ctx, rec); err != nil {
		return wire.Failed, nil, err
	}
	if !had {
		r.kept++
	}
	return wire.Stored, nil, nil
}

// count makes kept right; the caller has mu.
func (r *Records) count(ctx context.Context) error {
	if r.kept >= 0 {
		return nil
	}
	n := 0
	for _, err := range r.store.Records(ctx) {
		if err != nil {
			return err
		}
		n++
	}
	r.kept = n
	return nil
}

// standing is what stands here and is still good.
func (r *Records) standing(ctx context.Context, kind blocks.RecordKind, key mh.Multihash) (judged, bool, error) {
	value, ok, err := r.store.Record(ctx, kind, key)
	if err != nil || !ok {
		return judged{}, false, err
	}
	j, err := r.judge(blocks.Record{Kind: kind, Key: key, Value: value})
	return j, err == nil, nil // what has run out since is as good as absent
}

// Show implements wire.RecordKeeper.
func (r *Records) Show(ctx context.Context, kind blocks.RecordKind, key mh.Multihash) ([]byte, bool, error) {
	j, ok, err := r.standing(ctx, kind, key)
	return j.value, ok, err
}

// Run keeps the keepers of what is here level, until ctx is done.
func (r *Records) Run(ctx context.Context) error {
	select {
	case <-r.router.Ready():
	case <-ctx.Done():
		return nil
	}
	for {
		if !sleep(ctx, r.cfg.Every/2+time.Duration(r.cfg.Rand.Int64N(int64(r.cfg.Every)))) {
			return nil
		}
		if err := r.Level(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Log.Warn("records not looked at", "err", err)
		}
	}
}

// Level goes through the records here once. What has run out is dropped. The member
// closest to a key brings the record to the R-1 next; any other brings it to the closest
// one only, and adopts what that one knows better: two rounds make all of them level.
func (r *Records) Level(ctx context.Context) error {
	for rec, err := range r.store.Records(ctx) {
		if err != nil {
			return fmt.Errorf("replica: level records: %w", err)
		}
		j, err := r.judge(rec)
		if err != nil {
			if err := r.drop(ctx, rec); err != nil {
				return fmt.Errorf("replica: level records: %w", err)
			}
			continue
		}
		near, err := r.near(ctx, rec.Key, r.cfg.R)
		if err != nil || len(near) == 0 {
			continue // alone: later
		}
		if near[0] != r.self {
			near = near[:1]
		}
		r.bring(ctx, rec, j, near)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// drop forgets rec if nothing better has taken its place.
func (r *Records) drop(ctx context.Context, rec blocks.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg.Kinds[rec.Kind] == nil {
		return nil // of a later program
	}
	now, ok, err := r.store.Record(ctx, rec.Kind, rec.Key)
	if err != nil || !ok || !bytes.Equal(now, rec.Value) {
		return err
	}
	if err := r.store.DropRecord(ctx, rec.Kind, rec.Key); err != nil {
		return err
	}
	r.kept = max(r.kept-1, -1)
	return nil
}

// Judged is how many values were refused as not good, and how many shared a sequence
// number with another, since the start; nil has judged none.
func (r *Records) Judged() (refused, disputed int64) {
	if r == nil {
		return 0, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused, r.disputed
}
