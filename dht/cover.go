package dht

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// ErrCold says that this peer does not know its network yet.
var ErrCold = errors.New("dht: not warm yet")

// sweepAt is how many lookups of a sweep go on at a time.
const sweepAt = 16

// spare is how many bits less than an answer shows two keys must share for a second
// lookup to wait for the first: it may show more than the one before.
const spare = 2

// Cover looks at every part of the keyspace that the blocks hs lie in, so that for
// each of them [Router.Closest] is then exact without a lookup, for as long as
// coverage holds and for as many members as twice the neighbours say. One lookup
// serves all blocks near its key: the blocks' own keys are swept in order, so no
// part that holds none is asked for. What could not be covered is an error; it is
// [ErrCold] or [ErrAlone] before this peer is ready.
func (r *Router) Cover(ctx context.Context, hs []mh.Multihash) error {
	switch r.State() {
	case Ready:
	case Alone:
		return ErrAlone
	default:
		return ErrCold
	}
	targets := make([]target, len(hs))
	for i, h := range hs {
		targets[i] = target{keyspace.OfHash(h), h}
	}
	err := sweep(ctx, targets, func(k keyspace.Key) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.view.exact(k, r.cfg.Neighbours+1, time.Now())
	}, r.survey)
	if err != nil {
		return fmt.Errorf("dht: cover: %w", err)
	}
	return nil
}

// survey is one lookup of a sweep. bits is how long the widest part is that it covered.
func (r *Router) survey(ctx context.Context, t target) (bits int, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Lookup)
	defer cancel()
	found, err := r.lookup(ctx, t.key, string(t.hash))
	if err == nil && len(found) >= r.kad.BucketSize() {
		r.widen(ctx, t.key, found)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p, _, ok := r.view.coverage.Covered(t.key, time.Now())
	if !ok {
		return 256, err
	}
	return p.Bits, err
}

// target is a block that is to be placed.
type target struct {
	key  keyspace.Key
	hash mh.Multihash
}

// sweep asks until every target is done, each at most once. The first is asked
// alone: how wide the part is that it shows tells how far apart others must lie for
// their answers not to be the same.
func sweep(ctx context.Context, targets []target, done func(keyspace.Key) bool, ask func(context.Context, target) (bits int, err error)) error {
	slices.SortFunc(targets, func(a, b target) int { return bytes.Compare(a.key[:], b.key[:]) })
	open := slices.CompactFunc(targets, func(a, b target) bool { return a.key == b.key })
	var short []error // for targets that were asked for and are not done
	wide := 256       // bits of the widest part seen
	for most := 1; ; most = sweepAt {
		var round []target
		var left []target
		for _, t := range open {
			switch {
			case len(round) == most || len(round) > 0 && keyspace.CommonPrefix(round[len(round)-1].key, t.key) >= wide-spare:
				left = append(left, t)
			case !done(t.key):
				round = append(round, t)
			}
		}
		if len(round) == 0 {
			return errors.Join(short...)
		}
		bits, errs := make([]int, len(round)), make([]error, len(round))
		var wg sync.WaitGroup // ends with the answers, each of which has a deadline
		for i, t := range round {
			wg.Go(func() { bits[i], errs[i] = ask(ctx, t) })
		}
		wg.Wait()
		if err := context.Cause(ctx); err != nil {
			return err
		}
		for i, err := range errs {
			wide = min(wide, max(bits[i], 1))
			if err == nil && !done(round[i].key) {
				err = errUncovered
			}
			if errors.Is(err, ErrAlone) {
				return err
			}
			if err != nil {
				short = append(short, err)
			}
		}
		open = left
	}
}

var errUncovered = errors.New("a part of the keyspace stays unknown")

// widen asks the two closest of a lookup's answer for more. What they name are hints
// to whom to dial; but when both say that they leave out nobody, and leave out nobody
// that is known here, as much of the keyspace counts as seen as both claim.
func (r *Router) widen(ctx context.Context, key keyspace.Key, found []peer.ID) {
	answers := make([]nearAns, 2)
	var wg sync.WaitGroup // ends with the calls, each of which has a deadline
	for i := range answers {
		wg.Go(func() {
			if r.host.Network().Connectedness(found[i]) != network.Connected && !r.dial(ctx, found[i], false) {
				return
			}
			answer, err := r.call(ctx, found[i], nearReq{key, maxNear})
			if a, ok := answer.(nearAns); err == nil && ok {
				answers[i] = a
				r.hear(a.hints)
			}
		})
	}
	wg.Wait()
	claim := keyspace.PrefixOf(key, max(answers[0].bits, answers[1].bits))
	fresh := time.Duration(min(answers[0].fresh, answers[1].fresh)) * time.Millisecond
	if fresh == 0 {
		return
	}
	named := map[peer.ID]bool{r.self: true}
	for _, a := range answers {
		for _, h := range a.hints {
			named[h.id] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lo, hi := r.view.keys.Under(claim)
	for _, m := range r.view.at[lo:hi] {
		if !named[m.id] && !m.stranger && m.gone.IsZero() {
			return
		}
	}
	now := time.Now()
	r.view.coverage.Cover(claim, now, now.Add(min(fresh, r.cfg.Coverage)))
}
