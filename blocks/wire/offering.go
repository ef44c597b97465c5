package wire

import (
	"context"
	"errors"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// Lender lends the checked bytes of a block for the time of a call, as a [blocks.Store] does.
type Lender interface {
	View(ctx context.Context, h mh.Multihash, f func(data []byte) error) error
}

// Offer brings p those of items, at most [Batch], that it wants under l, out of from.
// tell hears, one call at a time, what became of each item: once from p itself, for
// whom Ack.Peer is empty, and of a fan-out item what p says of others. Items that tell
// has not heard of when Offer answers an error have an unknown end.
func (c *Client) Offer(ctx context.Context, p peer.ID, l blocks.Lease, why Reason, items []Item, from Lender, tell func(i int, a Ack)) error {
	if len(items) == 0 {
		return nil
	}
	return c.ask(ctx, p, "offer to", func(k *link) error {
		return newOffering(k, items, tell).run(ctx, l, why, from)
	})
}

// Store brings b to p under l, and says whether the bytes had to be sent; a no is a [*Refusal].
func (c *Client) Store(ctx context.Context, p peer.ID, l blocks.Lease, b blocks.Block) (sent bool, err error) {
	var end error
	items := []Item{{Hash: b.Hash(), Size: len(b.RawData())}}
	err = c.Offer(ctx, p, l, Put, items, lent{b}, func(_ int, a Ack) {
		if a.Peer == "" {
			sent, end = a.Status == Stored || a.Status == Mismatch, a.Err
		}
	})
	if err == nil || end != nil {
		err = end
	}
	return sent, err
}

// lent lends one block.
type lent struct{ b blocks.Block }

func (b lent) View(_ context.Context, _ mh.Multihash, f func([]byte) error) error {
	return f(b.b.RawData())
}

// offering is one offer being made. The caller's goroutine hears the answers, another
// one sends what is wanted.
type offering struct {
	l     *link
	items []Item
	tell  func(int, Ack)
	begun map[int]int // bytes of items that are there already; set before any is sent

	end   sync.Mutex // one end at a time is told
	acked []bool     // guarded by end: by p itself, or withdrawn
	open  int        // guarded by end: items without an end

	mu     sync.Mutex
	moved  sync.Cond
	credit int64 // guarded by mu
	err    error // guarded by mu: nothing more is sent, and why
}

func newOffering(l *link, items []Item, tell func(int, Ack)) *offering {
	o := &offering{l: l, items: items, open: len(items), acked: make([]bool, len(items)), tell: tell}
	o.moved.L = &o.mu
	return o
}

func (o *offering) run(ctx context.Context, lease blocks.Lease, why Reason, from Lender) error {
	q, relayed := offer{record: lease.Marshal(), reason: uint32(why)}, false
	for _, it := range o.items {
		w := item{hash: it.Hash, size: uint32(it.Size), flags: flagRest}
		if it.Fanout {
			w.flags |= flagFanout
			w.copys = uint32(max(it.Served, 0))
			relayed = true
		}
		if it.Urgent {
			w.flags |= flagUrgent
		}
		q.items = append(q.items, w)
	}
	w, err := reply[*want](o.l, &q)
	if err != nil {
		return err
	}
	todo, err := o.wanted(w)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error {
		err := o.send(ctx, todo, from)
		if err != nil && !errors.Is(err, errDone) {
			o.fail(err)
			o.l.reset()
		}
		return nil
	})
	err = o.hear(todo, relayed)
	if err != nil {
		o.fail(err)
		o.l.reset()
		_ = g.Wait()
		return o.err // whichever came first is the reason
	}
	o.fail(errDone)
	return g.Wait()
}

// wanted reads a Want: what is denied is told, and what is wanted is given back.
func (o *offering) wanted(w *want) (todo []int, err error) {
	if err := checkBitmap(w.bitmap, len(o.items)); err != nil {
		return nil, err
	}
	if w.credit > maxCredit {
		return nil, malformed("credit of %d", w.credit)
	}
	o.credit = int64(w.credit)
	for _, d := range w.deny {
		i := int(d.idx)
		if i >= len(o.items) || bit(w.bitmap, i) || Status(d.status) <= Have || d.status > 255 {
			return nil, malformed("deny of %d with %d", d.idx, d.status)
		}
		no := refusal(Status(d.status))
		no.Closer = d.closer
		if !o.ends(i, Ack{Status: no.Code, Closer: d.closer, Err: no}) {
			return nil, malformed("two ends of %d", d.idx)
		}
	}
	o.begun = map[int]int{}
	for _, g := range w.begun {
		i, n := int(g.idx), int(g.size)
		if i >= len(o.items) || !bit(w.bitmap, i) || n <= 0 || n >= o.items[i].Size || o.begun[i] > 0 {
			return nil, malformed("%d bytes of %d are said to be there", n, i)
		}
		o.begun[i] = n
	}
	for i := range o.items {
		if bit(w.bitmap, i) {
			todo = append(todo, i)
		}
	}
	return todo, nil
}

// ends tells the end of item i, which comes once.
func (o *offering) ends(i int, a Ack) bool {
	o.end.Lock()
	defer o.end.Unlock()
	if o.acked[i] {
		return false
	}
	o.acked[i] = true
	o.open--
	o.tell(i, a)
	return true
}

func (o *offering) done() bool {
	o.end.Lock()
	defer o.end.Unlock()
	return o.open == 0
}

// hear takes answers until each item has one, and relayed ones until p has no more.
func (o *offering) hear(todo []int, relayed bool) error {
	asked := make([]bool, len(o.items))
	for _, i := range todo {
		asked[i] = true
	}
	for {
		if o.done() && !relayed {
			return nil
		}
		m, err := o.l.next(longest)
		if err != nil {
			if o.done() {
				return nil // it has said all that it owed
			}
			return cut(err)
		}
		switch m := m.(type) {
		case *credit:
			if err := o.grant(m.bytes); err != nil {
				return err
			}
		case *ack:
			if err := o.ack(m, asked); err != nil {
				return err
			}
		default:
			return unexpected(m)
		}
	}
}

func (o *offering) ack(m *ack, asked []bool) error {
	i := int(m.idx)
	if i >= len(o.items) || m.status == 0 || m.status > 255 {
		return malformed("ack of %d with %d", m.idx, m.status)
	}
	a := Ack{Status: Status(m.status)}
	if a.Status > Have {
		a.Err = refusal(a.Status)
	}
	if len(m.peer) > 0 {
		id, err := peer.IDFromBytes(m.peer)
		if err != nil || !o.items[i].Fanout {
			return malformed("ack of %d for another", m.idx)
		}
		a.Peer = id
		o.end.Lock()
		defer o.end.Unlock()
		o.tell(i, a)
		return nil
	}
	if a.Status == Stored && !asked[i] || a.Status == Have && asked[i] || !o.ends(i, a) {
		return malformed("ack of %d with %d, which it cannot have", m.idx, m.status)
	}
	return nil
}

func (o *offering) grant(n uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n > maxCredit || o.credit+int64(n) > maxCredit {
		return malformed("credit of %d more than %d", n, o.credit)
	}
	o.credit += int64(n)
	o.moved.Broadcast()
	return nil
}

func (o *offering) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.moved.Broadcast()
}

var errDone = errors.New("wire: done")

// send sends what is wanted, as far as there is credit.
func (o *offering) send(ctx context.Context, todo []int, from Lender) error {
	for _, i := range todo {
		n := int64(o.items[i].Size)
		if err := o.spend(n); err != nil {
			return err
		}
		var sent error
		err := from.View(ctx, o.items[i].Hash, func(b []byte) error {
			if int64(len(b)) != n {
				return blocks.ErrMismatch
			}
			sent = o.l.sendData(uint32(i), b[o.begun[i]:], func() { o.l.readBy(longest) })
			return sent
		})
		if sent != nil {
			return sent
		}
		if err != nil && ctx.Err() != nil {
			return ctx.Err() // the caller has left, which says nothing of the block
		}
		if err != nil {
			if err := o.withdraw(i, n, err); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *offering) spend(n int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.credit < n {
		if o.err != nil {
			return o.err
		}
		o.moved.Wait()
	}
	o.credit -= n
	return o.err
}

// withdraw says that item i will not come: it cannot be read here.
func (o *offering) withdraw(i int, n int64, err error) error {
	o.mu.Lock()
	o.credit += n
	o.mu.Unlock()
	o.ends(i, Ack{Status: Failed, Err: err})
	return o.l.send(&cancel{uint32(i)})
}
