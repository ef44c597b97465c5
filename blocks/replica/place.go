package replica

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// Job is the placement of the blocks under one lease.
type Job struct {
	found bool // in the journal, by a round
	pin   blocks.Pin
	lease blocks.Lease
	moved chan struct{} // 1-buffered: there is news

	fanout int // holders to which this peer brings each block itself

	mu       sync.Mutex
	acks     map[string][]peer.ID // guarded by mu: for each block, who has it on the disk
	copies   []int                // guarded by mu: how many of acks have 0, 1, … R or more
	total    int                  // guarded by mu: acks in all
	members  int                  // guarded by mu: most other live members seen, up to 2r
	lastErr  map[peer.ID]error    // guarded by mu: what each holder said last
	finished bool                 // guarded by mu: Run goes no further with it for now
	next     *Job                 // guarded by mu: the placement of a newer lease that took its place
	revoked  bool                 // guarded by mu: the lease is over
	end      context.CancelFunc   // guarded by mu: ends the work on it; nil while there is none
	idle     *time.Timer          // guarded by mu: ends a pass that brings no ack for patience
	patience time.Duration        // guarded by mu
}

// giveWay ends j in favour of next.
func (j *Job) giveWay(next *Job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next = next
	if j.end != nil {
		j.end()
	}
}

// begin makes the context of the work on j; it is over at once if j has given way.
func (j *Job) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.end = cancel; j.next != nil || j.revoked {
		cancel()
	}
	return ctx, cancel
}

// Queue hands the placement of the blocks held under l to [Set.Run]; pin is their
// journal, which the caller has written. A placement of l that is queued already is
// given back; one of an older lease of the same name ends, and who waits for it waits
// for this one.
func (s *Set) Queue(l blocks.Lease, pin blocks.Pin) *Job { return s.QueueFanout(l, pin, 0) }

// QueueFanout is [Set.Queue] for who chooses to how many holders this peer brings each
// block itself; the closest of them passes it on to the others. 0 is the Config's choice.
func (s *Set) QueueFanout(l blocks.Lease, pin blocks.Pin, fanout int) *Job {
	return s.enqueue(l, pin, fanout, false)
}

// enqueue is QueueFanout; found says that pin was found in the journal, which may have been
// closed since it was read.
func (s *Set) enqueue(l blocks.Lease, pin blocks.Pin, fanout int, found bool) *Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.jobs[l.ID()]
	if old != nil && old.lease.Seq >= l.Seq {
		return old
	}
	if fanout <= 0 {
		fanout = s.cfg.Fanout
	}
	j := &Job{pin: pin, lease: l, found: found, moved: make(chan struct{}, 1), fanout: fanout, acks: map[string][]peer.ID{}, copies: make([]int, l.R+1), lastErr: map[peer.ID]error{}}
	s.jobs[l.ID()] = j
	s.queue = append(s.queue, j)
	if old != nil {
		old.giveWay(j)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return j
}

// atOnce is how many placements go on side by side; the window is shared by all.
const atOnce = 32

// placing runs the queued placements until ctx is done.
func (s *Set) placing(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for {
		s.mu.Lock()
		next := s.queue
		s.queue = nil
		s.mu.Unlock()
		for _, j := range next {
			g.Go(func() error { s.work(ctx, j); return nil })
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return g.Wait()
		}
	}
}

// work places the blocks of j, again and again while that brings new acks, and
// closes its journal when every block has all the copies the network can hold.
func (s *Set) work(ctx context.Context, j *Job) {
	ctx, end := j.begin(ctx)
	defer end()
	done := false
	defer func() {
		s.mu.Lock()
		if s.jobs[j.lease.ID()] == j {
			delete(s.jobs, j.lease.ID())
		}
		s.mu.Unlock()
		s.later(s.cfg.AfterChange, j.blocks()...)
		s.rests(j, done)
		j.mu.Lock()
		j.finished = true
		j.mu.Unlock()
		j.news()
	}()
	if j.found { // a placement that was done a moment ago is not done again
		if now, ok, err := s.ledger.Pinned(ctx, j.pin.Root); err == nil && ok && !now.Pending {
			done = true
			return
		}
	}
	if !s.warm(ctx, j) {
		return
	}
	for last, pause := time.Now(), 50*time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		before := j.acked()
		if err := s.pass(ctx, j); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			s.log.Warn("placement cut short", "root", j.pin.Root, "err", err)
		}
		p := j.progress(blocks.WaitFull)
		if p.Members > 0 && p.Safe == p.Blocks && ctx.Err() == nil {
			if err := s.settle(ctx, j.pin.Root); err != nil {
				s.log.Error("journal not closed", "root", j.pin.Root, "err", err)
			}
			done = true
			return
		}
		if j.acked() > before {
			last = time.Now()
		}
		if p.Members == 0 || time.Since(last) >= s.cfg.PutIdle || !sleep(ctx, pause) {
			return
		}
	}
}

// settle takes root out of the journal. A pin that was named anew keeps its name, and
// one that was taken away stays away.
func (s *Set) settle(ctx context.Context, root cid.Cid) error {
	pin, ok, err := s.ledger.Pinned(ctx, root)
	if err != nil || !ok {
		return err
	}
	pin.Pending = false
	return s.ledger.Pin(ctx, pin)
}

// warm waits until placement can be trusted. It answers false when no other peer
// is known, or none of them makes the view whole in time: then j stays in its journal.
func (s *Set) warm(ctx context.Context, j *Job) bool {
	select {
	case <-s.router.Ready():
		return true
	default:
	}
	if _, _, err := s.router.Closest(ctx, j.pin.Root.Hash(), 2); err != nil {
		return false
	}
	late := time.NewTimer(s.cfg.PutIdle)
	defer late.Stop()
	select {
	case <-s.router.Ready():
		return true
	case <-late.C:
		j.failed("", errors.New("replica: not warm yet"))
	case <-ctx.Done():
	}
	return false
}

// pass tries every block of j that still lacks copies, once. It ends early when no ack
// comes for as long as a put may be idle.
func (s *Set) pass(ctx context.Context, j *Job) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(s.cfg.PutIdle, cancel)
	defer idle.Stop()
	j.mu.Lock()
	j.idle, j.patience = idle, s.cfg.PutIdle
	j.mu.Unlock()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(groupsOfJob)
	var hs, ahead []mh.Multihash
	var bytes int
	flush := func() error {
		part := hs
		hs, bytes = nil, 0
		select {
		case s.window <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		g.Go(func() error {
			defer func() { <-s.window }()
			return s.place(ctx, j, part)
		})
		return nil
	}
	window := func() error {
		s.cover(ctx, ahead)
		for _, h := range ahead {
			hs = append(hs, h)
			if n, err := s.store.Size(ctx, h); err == nil { // what cannot be read says so when its turn comes
				bytes += n
			}
			if len(hs) == s.group || bytes >= groupBytes {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		ahead = nil
		return nil
	}
	for h, err := range s.ledger.Under(ctx, j.lease.ID()) {
		if err == nil {
			if ahead = append(ahead, h); len(ahead) < coverKeys {
				continue
			}
			err = window()
		}
		if err != nil {
			return errors.Join(err, g.Wait())
		}
	}
	err := window()
	if err == nil && len(hs) > 0 {
		err = flush()
	}
	return errors.Join(err, g.Wait())
}

// coverKeys is how many blocks are looked around for together.
const coverKeys = 1024

// cover looks where hs lie, by a few lookups for all of them. What that does not show
// is looked up block by block.
func (s *Set) cover(ctx context.Context, hs []mh.Multihash) {
	if len(hs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Linger)
	defer cancel()
	if err := s.router.Cover(ctx, hs); err != nil {
		s.log.Debug("not all blocks are covered", "blocks", len(hs), "err", err)
	}
}

// blocks gives the blocks of j that were looked at.
func (j *Job) blocks() (hs []mh.Multihash) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for h := range j.acks {
		hs = append(hs, mh.Multihash(h))
	}
	return hs
}

func (j *Job) news() {
	select {
	case j.moved <- struct{}{}:
	default:
	}
}

// note enters h, who is near it, and gives how many of those have it.
func (j *Job) note(h mh.Multihash, near []peer.ID, members int) (have int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.acks[string(h)]; !ok {
		j.acks[string(h)] = nil
		j.copies[0]++
	}
	j.members = max(j.members, members)
	if near != nil { // copies on peers that are gone count no more
		j.setLocked(h, slices.DeleteFunc(j.acks[string(h)], func(p peer.ID) bool { return !slices.Contains(near, p) }), len(j.acks[string(h)]))
	}
	return len(j.acks[string(h)])
}

// setLocked enters that who have h, of whom there were before.
func (j *Job) setLocked(h mh.Multihash, who []peer.ID, before int) {
	j.acks[string(h)] = who
	j.copies[min(before, j.lease.R)]--
	j.copies[min(len(who), j.lease.R)]++
}

func (j *Job) has(h mh.Multihash, p peer.ID) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Contains(j.acks[string(h)], p)
}

// ack enters that p has h on its disk, and gives how many have.
func (j *Job) ack(h mh.Multihash, p peer.ID) (have int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	was := j.acks[string(h)]
	j.setLocked(h, append(was, p), len(was))
	j.total++
	delete(j.lastErr, p)
	if j.idle != nil {
		j.idle.Reset(j.patience)
	}
	j.news()
	return len(j.acks[string(h)])
}

func (j *Job) failed(p peer.ID, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lastErr[p] = err
}

func (j *Job) acked() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.total
}

// progress says how far j is for those who wait for w. It is asked at every ack, so that it
// looks at no block.
func (j *Job) progress(w blocks.Wait) blocks.Progress {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := blocks.Progress{Root: j.pin.Root, Blocks: j.pin.Blocks, Target: j.lease.R, Members: j.members, Copies: slices.Clone(j.copies)}
	p.Copies[0] += j.pin.Blocks - len(j.acks)
	for _, n := range j.copies[w.Want(j.lease.R, j.members):] {
		p.Safe += n
	}
	return p
}

// lacking says which blocks of j are short of w.
func (j *Job) lacking(w blocks.Wait) *blocks.ShortError {
	j.mu.Lock()
	defer j.mu.Unlock()
	short := &blocks.ShortError{Root: j.pin.Root, Want: w.Want(j.lease.R, j.members), Have: j.lease.R, Members: j.members}
	for h, who := range j.acks {
		if len(who) >= short.Want {
			continue
		}
		short.Short++
		short.Have = min(short.Have, len(who))
		if len(short.Blocks) < 8 {
			short.Blocks = append(short.Blocks, cid.NewCidV1(cid.Raw, mh.Multihash(h)))
		}
	}
	if unseen := j.pin.Blocks - len(j.acks); unseen > 0 {
		short.Have = 0
		short.Short += unseen
	}
	var errs []error
	for _, err := range j.lastErr {
		errs = append(errs, err)
	}
	short.Err = errors.Join(errs...)
	return short
}

// Wait waits until j is as far as w asks; tell hears how far it is, at most ten
// times a second. When j can get no further for now it answers a
// [*blocks.ShortError]: everything is still here and queued.
func (j *Job) Wait(ctx context.Context, w blocks.Wait, tell func(blocks.Progress)) (blocks.Progress, error) {
	const pace = 100 * time.Millisecond
	var told time.Time
	for {
		j.mu.Lock()
		finished, next := j.finished, j.next
		j.mu.Unlock()
		if next != nil {
			j = next
			continue
		}
		p := j.progress(w)
		done := p.Members > 0 && p.Safe == p.Blocks || w == blocks.WaitLocal
		if tell != nil && (done || finished || time.Since(told) >= pace) {
			tell(p)
			told = time.Now()
		}
		switch {
		case done:
			return p, nil
		case finished:
			return p, j.lacking(w)
		}
		select {
		case <-j.moved:
		case <-time.After(pace):
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
}

// Holders gives every peer that has at least one of j's blocks, and the copies of the
// worst-kept one.
func (j *Job) Holders() (ids []peer.ID, least int) {
	j.mu.Lock()
	if next := j.next; next != nil {
		j.mu.Unlock()
		return next.Holders()
	}
	defer j.mu.Unlock()
	seen := map[peer.ID]bool{}
	least = j.lease.R
	if len(j.acks) < j.pin.Blocks {
		least = 0
	}
	for _, who := range j.acks {
		least = min(least, len(who))
		for _, p := range who {
			seen[p] = true
		}
	}
	for p := range seen {
		ids = append(ids, p)
	}
	slices.Sort(ids)
	return ids, least
}
