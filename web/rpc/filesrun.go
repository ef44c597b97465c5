package rpc

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

const (
	patience = time.Minute      // for the quorum of one root, before a newer one is looked for
	again    = time.Minute      // between two tries for a root that others do not have yet
	quiets   = 10               // times the quiet time is how long changes that go on are waited for
	leaving  = 10 * time.Second // for taking back the pin of one older root

	// Others are asked for every block of a tree that they are given: a rest of so many times
	// as long as that took follows.
	pace    = 10
	slowest = 10 * time.Minute // of rest, at most
)

// run brings the newest root to others, a quiet time after a change, until ctx is done.
func (f *files) run(ctx context.Context) error {
	if f.k == nil {
		return nil
	}
	retry := time.NewTimer(again)
	defer retry.Stop()
	done := cid.Undef // that others have
	for {
		retry.Reset(again)
		select {
		case <-f.wake:
			f.settle(ctx)
		case <-retry.C:
		case <-ctx.Done():
		}
		root, err := f.flush() // what was changed with flush=false
		if err != nil {
			f.log.Warn("the mutable files are not written down", "err", err)
			root = cid.Undef
		}
		if ctx.Err() != nil {
			return nil
		}
		if !root.Defined() || root.Equals(done) {
			continue
		}
		began := time.Now()
		done = cid.Undef
		err = f.place(ctx, root)
		var short *blocks.ShortError
		switch {
		case err == nil:
			done = root
		case ctx.Err() != nil:
		case errors.As(err, &short), errors.Is(err, context.DeadlineExceeded):
			f.log.Debug("the mutable files have too few copies yet", "root", root, "err", err)
		default:
			f.log.Warn("the mutable files are not kept by others yet", "root", root, "err", err)
		}
		f.rest(ctx, min(pace*time.Since(began), slowest))
	}
}

// rest waits. Commands write down what they change meanwhile, as ever.
func (f *files) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// settle waits until nothing has changed for the quiet time, or for ten times as long.
func (f *files) settle(ctx context.Context) {
	quiet, most := time.NewTimer(f.quiet), time.NewTimer(quiets*f.quiet)
	defer quiet.Stop()
	defer most.Stop()
	for {
		select {
		case <-f.wake:
			quiet.Reset(f.quiet)
		case <-quiet.C:
			return
		case <-most.C:
			f.ring() // there may be more
			return
		case <-ctx.Done():
			return
		}
	}
}

// place has root pinned and brought to others, in the place of the roots of before: those
// that never had their copies go at once, the last that had them when root has them too.
func (f *files) place(ctx context.Context, root cid.Cid) error {
	is := func(p placed) bool { return p.Root.Equals(root) }
	known := slices.ContainsFunc(f.pins(), is)
	// What is noted and not pinned does no harm; what is pinned and not noted would stay for good.
	if !known {
		if err := f.note(func(all []placed) []placed { return append(all, placed{Root: root}) }); err != nil {
			return err
		}
	}
	if err := f.k.Keep(ctx, root); err != nil {
		if !known { // or there would be one more with each change
			err = errors.Join(err, f.displace(ctx, is))
		}
		return err
	}
	if err := f.displace(ctx, func(p placed) bool { return !p.Safe && !p.Root.Equals(root) }); err != nil {
		return err
	}
	wait, end := context.WithTimeout(ctx, patience)
	defer end()
	if err := f.k.Await(wait, root); err != nil {
		return err
	}
	if err := f.note(func(all []placed) []placed {
		for i := range all {
			all[i].Safe = all[i].Safe || all[i].Root.Equals(root)
		}
		return all
	}); err != nil {
		return err
	}
	return f.displace(ctx, func(p placed) bool { return !p.Root.Equals(root) })
}

// displace takes back the pins that go picks.
func (f *files) displace(ctx context.Context, goes func(placed) bool) error {
	for _, p := range f.pins() {
		if !goes(p) {
			continue
		}
		one, end := context.WithTimeout(ctx, leaving)
		err := f.k.Displace(one, p.Root)
		end()
		if err != nil {
			return err
		}
		if err := f.note(func(all []placed) []placed {
			return slices.DeleteFunc(all, func(q placed) bool { return q.Root.Equals(p.Root) })
		}); err != nil {
			return err
		}
	}
	return nil
}

func (f *files) pins() []placed {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.saved.Pins)
}

// note writes down what edit makes of the pins.
func (f *files) note(edit func([]placed) []placed) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := edit(slices.Clone(f.saved.Pins))
	if slices.Equal(now, f.saved.Pins) {
		return nil
	}
	return f.saveLocked(noted{f.saved.Root, now})
}
