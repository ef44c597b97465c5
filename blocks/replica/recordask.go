package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// This file is what a peer asks the keepers of a record; records.go is what it is as one.

// Written says who has a record after a [Records.Put].
type Written struct {
	Keepers int // of the R closest members, this one included, those that have it on the disk
	Others  int // of those, all but this one
	Of      int // R, or all there are
}

// Put writes rec here and on the R members closest to its key, in one message each.
// [ErrOlder] comes with the value that wins when a keeper knows one, [ErrUnkept] when
// none of the closest could be reached: it stays here, and [Records.Run] goes on trying.
func (r *Records) Put(ctx context.Context, rec blocks.Record) (w Written, newer []byte, err error) {
	j, err := r.judge(rec)
	if err != nil {
		return w, nil, fmt.Errorf("replica: put record: %w", err)
	}
	switch st, newer, err := r.weigh(ctx, rec, j, true); {
	case err != nil:
		return w, nil, fmt.Errorf("replica: put record: %w", err)
	case st == wire.Older:
		return w, newer, ErrOlder
	case st == wire.Full:
		return w, nil, fmt.Errorf("replica: put record: %w: %s", ErrUnkept, st)
	}
	near, err := r.near(ctx, rec.Key, r.cfg.R)
	if err != nil {
		return w, nil, fmt.Errorf("%w: %w", ErrUnkept, err)
	}
	w.Of = len(near)
	has, best := r.bring(ctx, rec, j, near)
	w.Keepers, w.Others = len(has), len(has)
	if slices.Contains(has, r.self) {
		w.Others--
	}
	if !bytes.Equal(best.value, rec.Value) {
		return w, best.value, ErrOlder
	}
	if w.Keepers == 0 {
		return w, nil, errors.Join(ErrUnkept, ctx.Err())
	}
	return w, nil, nil
}

// Tell brings rec to those of to that may not keep it, but have to do with what it says.
// It gives how many know it now.
func (r *Records) Tell(ctx context.Context, rec blocks.Record, to []peer.ID) int {
	var mu sync.Mutex
	n := 0
	r.all(to, func(p peer.ID) {
		_, _, err := r.peers.PutRecord(ctx, p, rec)
		var no *wire.Refusal
		if err == nil || errors.As(err, &no) && no.Code == wire.NotResponsible {
			mu.Lock()
			defer mu.Unlock()
			n++
		}
	})
	return n
}

// bring gives rec to each of to but this peer, and says who has it then and which value wins.
func (r *Records) bring(ctx context.Context, rec blocks.Record, j judged, to []peer.ID) (has []peer.ID, best judged) {
	var mu sync.Mutex // guards has and best
	best = j
	r.all(to, func(p peer.ID) {
		st, newer, err := wire.Have, []byte(nil), error(nil)
		if p != r.self {
			st, newer, err = r.peers.PutRecord(ctx, p, rec)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			r.cfg.Log.Debug("record not kept", "peer", p, "err", err)
			return
		}
		if st != wire.Older {
			has = append(has, p)
			return
		}
		if k, err := r.judge(blocks.Record{Kind: rec.Kind, Key: rec.Key, Value: newer}); err == nil && k.wins(best) {
			best = k
		}
	})
	if !bytes.Equal(best.value, j.value) {
		if _, _, err := r.weigh(ctx, blocks.Record{Kind: rec.Kind, Key: rec.Key, Value: best.value}, best, true); err != nil {
			r.cfg.Log.Warn("a later record is not kept", "err", err)
		}
	}
	return has, best
}

// Get asks the R members closest to key, and itself, for what stands there, gives the
// winner, and brings it to those who had less. blocks.IsNotFound holds for the error when
// every one of them has answered that it has none.
func (r *Records) Get(ctx context.Context, kind blocks.RecordKind, key mh.Multihash) ([]byte, error) {
	seen, err := r.Look(ctx, kind, key)
	return seen.Value, err
}

// Seen is what the keepers of a record have shown.
type Seen struct {
	Value  []byte   // the winner
	Rivals [][]byte // good values with the winner's sequence number that lost to it
	Asked  int      // members that answered, this one included
}

// Look is [Records.Get], and says what else was seen. Seen.Asked counts in an error too.
func (r *Records) Look(ctx context.Context, kind blocks.RecordKind, key mh.Multihash) (seen Seen, err error) {
	best, found, err := r.standing(ctx, kind, key)
	if err != nil {
		return seen, fmt.Errorf("replica: get record: %w", err)
	}
	near, err := r.near(ctx, key, r.cfg.R)
	if err != nil && !found {
		return seen, fmt.Errorf("replica: get record: %w", err)
	}
	var mu sync.Mutex // guards what follows
	got := map[peer.ID][]byte{}
	var good []judged
	var errs []error
	r.all(near, func(p peer.ID) {
		if p == r.self {
			return
		}
		value, err := r.peers.GetRecord(ctx, p, kind, key)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, err)
			return
		}
		got[p] = nil
		if value == nil {
			return
		}
		j, err := r.judge(blocks.Record{Kind: kind, Key: key, Value: value})
		if err != nil {
			r.cfg.Log.Debug("bad record", "peer", p, "err", err)
			return
		}
		got[p] = value
		if found {
			good = append(good, best)
		}
		good = append(good, j)
		if !found || j.wins(best) {
			best, found = j, true
		}
	})
	seen.Asked = len(got)
	if slices.Contains(near, r.self) {
		seen.Asked++
	}
	if !found {
		if len(errs) > 0 {
			return seen, fmt.Errorf("replica: get record: %w", errors.Join(errs...))
		}
		return seen, fmt.Errorf("replica: get record: %w", blocks.NotFound(blocks.Key(key)))
	}
	seen.Value, seen.Rivals = best.value, best.rivals(good)
	rec := blocks.Record{Kind: kind, Key: key, Value: best.value}
	if _, _, err := r.weigh(ctx, rec, best, slices.Contains(near, r.self)); err != nil {
		return seen, fmt.Errorf("replica: get record: %w", err)
	}
	var less []peer.ID
	for p, value := range got {
		if !bytes.Equal(value, best.value) {
			less = append(less, p)
		}
	}
	r.bring(ctx, rec, best, less)
	return seen, nil
}

// Adopt keeps rec here, near or not, unless what stands here wins: so this peer never goes
// back behind it, as long as it is good. newer is then what stands here.
func (r *Records) Adopt(ctx context.Context, rec blocks.Record) (newer []byte, err error) {
	j, err := r.judge(rec)
	if err != nil {
		return nil, fmt.Errorf("replica: adopt record: %w", err)
	}
	st, newer, err := r.weigh(ctx, rec, j, true)
	if err != nil {
		return nil, fmt.Errorf("replica: adopt record: %w", err)
	}
	if st == wire.Older {
		return newer, nil
	}
	return rec.Value, nil
}

func (r *Records) near(ctx context.Context, key mh.Multihash, n int) ([]peer.ID, error) {
	ids, _, err := r.router.Closest(ctx, key, n)
	return ids, err
}

// all calls f for each of ps, all at once, and waits.
func (r *Records) all(ps []peer.ID, f func(peer.ID)) {
	var g errgroup.Group
	for _, p := range ps {
		g.Go(func() error { f(p); return nil })
	}
	_ = g.Wait()
}
