package wire

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"
)

// What goes to the disk together: up to so many bytes, or what comes within so long.
const (
	batchBytes = 8 << 20
	batchTime  = 2 * time.Millisecond
)

// taking is one offer being taken:
//
//	stream → read (credit, idx, length) → check → keep (together) → Ack, Credit
type taking struct {
	*exchange
	lease blocks.Lease
	why   Reason
	items []item
	pass  *passing       // of the fan-out items; nil: there is nothing to pass on
	heads map[int][]byte // of items that came in part before; of the goroutine that reads

	mu      sync.Mutex
	due     map[int]bool // guarded by mu: wanted, and not come yet
	left    int64        // guarded by mu: credit that the sender has
	held    int64        // guarded by mu: bytes reserved for it, credit or come
	ungiven int64        // guarded by mu: bytes wanted for which it has had no credit
	bad     error        // guarded by mu: wrong bytes came
}

type arrival struct {
	idx   int
	bytes []byte
	b     blocks.Block
}

func (x *exchange) take(ctx context.Context, o *offer) error {
	if len(o.items) == 0 {
		return malformed("an offer of nothing")
	}
	t := taking{exchange: x, why: Reason(min(o.reason, 255)), items: o.items, due: map[int]bool{}}
	verdicts, err := t.verdicts(ctx, o)
	if err != nil {
		return err
	}
	w, acks, have := want{bitmap: bitmap(len(o.items))}, []message(nil), []int(nil)
	var largest int64
	for i, v := range verdicts {
		switch v {
		case 0:
			setBit(w.bitmap, i)
			t.due[i] = true
			t.ungiven += int64(o.items[i].size)
			largest = max(largest, int64(o.items[i].size))
		case Have:
			acks = append(acks, &ack{idx: uint32(i), status: uint32(Have)})
			have = append(have, i)
		default:
			w.deny = append(w.deny, deny{idx: uint32(i), status: uint32(v)})
		}
	}
	x.hint(ctx, &w, o.items)
	if len(t.due) > 0 {
		soon, cancel := context.WithTimeout(ctx, timeout)
		t.held, err = x.room.take(soon, largest, min(streamCredit, t.ungiven))
		cancel()
		if err != nil {
			busyNow(x.l)
			return ctx.Err()
		}
		defer func() { x.room.give(t.held) }() // everything else has ended by then
	}
	t.left, t.ungiven, w.credit = t.held, t.ungiven-t.held, uint64(t.held)
	w.begun = t.begun()
	defer t.unused()
	if err := x.l.send(append([]message{&w}, acks...)...); err != nil {
		return err
	}
	if t.pass = t.passes(); t.pass == nil {
		return t.run(ctx, len(t.due))
	}
	t.pass.add(have...)
	var passed sync.WaitGroup
	var fault error
	passed.Go(func() { // ends with what is passed on, each piece of which has its time
		defer recovered(&fault)
		t.pass.run(ctx)
	})
	err = t.run(ctx, len(t.due))
	t.pass.end()
	t.room.give(t.held)
	t.held = 0
	x.out()
	passed.Wait()
	return errors.Join(err, fault)
}

// verdicts says of each item what becomes of it.
func (t *taking) verdicts(ctx context.Context, o *offer) ([]Status, error) {
	out := make([]Status, len(o.items))
	var err error
	if t.lease, err = blocks.ParseLease(o.record); err == nil {
		err = t.lease.Valid(time.Now())
	}
	var fit []Item
	var at []int
	for i, it := range o.items {
		switch {
		case it.kind != 0 || blocks.Fit(it.hash, int(min(it.size, blocks.MaxSize+1))) != nil:
			out[i] = Unfit
		case err != nil:
			out[i] = BadLease
		default:
			fit = append(fit, Item{Hash: it.hash, Size: int(it.size), Fanout: it.flags&flagFanout != 0, Urgent: it.flags&flagUrgent != 0})
			at = append(at, i)
		}
	}
	if len(fit) == 0 {
		return out, nil
	}
	vs, err := t.keeper.Offer(ctx, t.from, t.lease, fit)
	if err != nil {
		return nil, err
	}
	for k, v := range vs {
		out[at[k]] = v
	}
	return out, nil
}

// hint names who is nearer, as far as a frame has room for it.
func (x *exchange) hint(ctx context.Context, w *want, items []item) {
	room := maxFrame / 2
	for k := range w.deny {
		if d := &w.deny[k]; Status(d.status) == NotResponsible && room > 0 {
			d.closer = x.closer(ctx, items[d.idx].hash)
			room -= len(members(nil, 3, d.closer))
		}
	}
}

func (t *taking) run(all context.Context, n int) error {
	if n == 0 {
		return nil
	}
	g, ctx := errgroup.WithContext(all)
	end := context.AfterFunc(ctx, t.l.reset) // a failure of one ends the others; a stream that is done has been reset by none
	raw, good := make(chan arrival, n), make(chan arrival, n)
	g.Go(func() (err error) {
		defer recovered(&err)
		defer close(raw)
		return t.read(raw)
	})
	g.Go(func() (err error) {
		defer recovered(&err)
		defer close(good)
		return t.check(raw, good)
	})
	g.Go(func() (err error) {
		defer recovered(&err)
		err = t.keepAll(all, good) // what came whole is kept, also when its stream was cut
		if err == nil {
			end()
		}
		return err
	})
	err := g.Wait()
	return errors.Join(t.poisoned(), err)
}

func (t *taking) poisoned() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bad
}

// read takes in what was wanted, and nothing else, until all of it has come or will not.
func (t *taking) read(raw chan<- arrival) error {
	for t.waiting() > 0 {
		m, err := t.l.next(longest)
		if t.poisoned() != nil {
			return nil // what goes on coming is not read
		}
		if err != nil {
			return cut(err)
		}
		switch m := m.(type) {
		case *cancel:
			if !t.drop(int(m.idx)) {
				return malformed("cancel of %d, which is not due", m.idx)
			}
		case *data:
			if err := t.expect(m); err != nil {
				return err
			}
			i := int(m.idx)
			b, err := t.l.data(t.heads[i], int(t.items[i].size))
			delete(t.heads, i)
			if err != nil {
				t.remnants.keep(t.from, t.items[i].hash, int(t.items[i].size), b)
				return err
			}
			t.cfg.Counts.add(t.why, len(b))
			raw <- arrival{idx: int(m.idx), bytes: b} // has room for all of them
		default:
			return malformed("message %d in an offer", m.number())
		}
	}
	return nil
}

func (t *taking) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.due)
}

// drop strikes out an item that will not come.
func (t *taking) drop(i int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ok := t.due[i]
	delete(t.due, i)
	return ok
}

// expect answers an error unless m announces what may come now.
func (t *taking) expect(m *data) error {
	i := int(m.idx)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.due[i]:
		return malformed("data for %d, which is not due", i)
	case int(m.size)+len(t.heads[i]) != int(t.items[i].size):
		return malformed("%d bytes for an item of %d, of which %d are here", m.size, t.items[i].size, len(t.heads[i]))
	case int64(t.items[i].size) > t.left:
		return malformed("an item of %d bytes on a credit of %d", t.items[i].size, t.left)
	}
	t.left -= int64(t.items[i].size)
	delete(t.due, i)
	return nil
}

// check makes blocks of bytes. Wrong ones end the stream, once that is said.
func (t *taking) check(raw <-chan arrival, good chan<- arrival) error {
	for a := range raw {
		if t.poisoned() != nil {
			continue
		}
		b, err := blocks.Check(blocks.Key(t.items[a.idx].hash), a.bytes)
		if err != nil {
			t.mu.Lock()
			t.bad = err
			clear(t.due)
			t.mu.Unlock()
			t.l.readBy(0)
			if err := t.l.send(&ack{idx: uint32(a.idx), status: uint32(Mismatch)}); err != nil {
				return err
			}
			continue
		}
		a.b = b
		good <- a
	}
	return nil
}

// keepAll puts what came on the disk, together what comes together, and says so.
func (t *taking) keepAll(ctx context.Context, good <-chan arrival) (failed error) {
	for {
		as := gather(good)
		if len(as) == 0 {
			return failed
		}
		bs, size := make([]blocks.Block, len(as)), int64(0)
		for i, a := range as {
			bs[i] = a.b
			size += int64(len(a.bytes))
		}
		status, err := Stored, t.keeper.Keep(ctx, t.from, t.lease, bs...)
		if err != nil {
			status = refusedAs(err)
			t.cfg.Log.Debug("blocks not kept", "peer", t.from, "blocks", len(bs), "err", err)
		}
		ms := make([]message, 0, len(as)+1)
		for _, a := range as {
			ms = append(ms, &ack{idx: uint32(a.idx), status: uint32(status)})
		}
		if more := t.regrant(size); more > 0 {
			ms = append(ms, &credit{uint64(more)})
		}
		if failed != nil {
			continue // nobody hears it
		}
		if failed = t.l.send(ms...); failed != nil {
			t.l.reset() // no more comes
			continue
		}
		if status == Stored {
			for _, a := range as {
				t.pass.add(a.idx)
			}
		}
	}
}

// regrant gives the sender anew what the blocks that are on the disk have freed, as far
// as it has more to bring, and gives back the rest.
func (t *taking) regrant(size int64) (more int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	more = min(size, t.ungiven)
	t.ungiven -= more
	t.left += more
	t.held -= size - more
	t.room.give(size - more)
	return more
}

// refusedAs is what the other side is told of an error in keeping.
func refusedAs(err error) Status {
	var no *Refusal
	switch {
	case errors.As(err, &no):
		return no.Code
	case errors.Is(err, blocks.ErrFull):
		return Full
	}
	return Failed
}

// gather waits for one arrival, and takes those that come with it. None: it was the last.
func gather(good <-chan arrival) (as []arrival) {
	a, ok := <-good
	if !ok {
		return nil
	}
	as = append(as, a)
	soon := time.NewTimer(batchTime)
	defer soon.Stop()
	for size := len(a.bytes); size < batchBytes; size += len(a.bytes) {
		select {
		case a, ok = <-good:
			if !ok {
				return as
			}
			as = append(as, a)
		case <-soon.C:
			return as
		}
	}
	return as
}

// closer is the hint that a message has room for.
func (x *exchange) closer(ctx context.Context, h []byte) []peer.AddrInfo {
	ms := x.cfg.Closer(ctx, h)
	return ms[:min(len(ms), maxCloser)]
}
