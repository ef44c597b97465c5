package wire

import (
	"context"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Passer is a [Keeper] that passes on what it was brought with the fan-out flag.
type Passer interface {
	// Pass brings items, which are here and held under l, to those of their holders
	// that their sender does not serve. tell hears, from any goroutine, what became of
	// item i at the peer that Ack names. It ends within a bounded time, whatever others do.
	Pass(ctx context.Context, from peer.ID, l blocks.Lease, items []Item, tell func(i int, a Ack))
}

// The most offers that are being passed on at a time, and how long one may be after
// its sender has had its own answers.
const (
	passings = 64
	passTime = 2 * time.Minute
)

// passing passes on the fan-out items of an offer, each after its own Ack:
//
//	kept → due → Pass → Ack by name
//
// It is a goroutine of the exchange, which nothing of the offer itself waits for.
type passing struct {
	t    *taking
	to   Passer
	room chan struct{}

	wake chan struct{} // 1-buffered: there is something due, or no more
	mu   sync.Mutex
	due  []int // guarded by mu: items to be passed on
	last bool  // guarded by mu: no more become due
	lost bool  // guarded by mu: the sender hears no more
}

// passes gives what passes on the fan-out items of t, or nil: there are none, or
// nobody to do it, or too many at it.
func (t *taking) passes() *passing {
	to, ok := t.keeper.(Passer)
	if !ok {
		return nil
	}
	for _, it := range t.items {
		if it.flags&flagFanout != 0 {
			select {
			case t.passing <- struct{}{}:
				return &passing{t: t, to: to, room: t.passing, wake: make(chan struct{}, 1)}
			default:
				return nil
			}
		}
	}
	return nil
}

// add notes that the items of is are kept. A nil passing notes nothing.
func (p *passing) add(is ...int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	for _, i := range is {
		if p.t.items[i].flags&flagFanout != 0 {
			p.due = append(p.due, i)
		}
	}
	p.mu.Unlock()
	p.nudge()
}

// end says that nothing more becomes due.
func (p *passing) end() {
	p.mu.Lock()
	p.last = true
	p.mu.Unlock()
	p.nudge()
}

func (p *passing) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next takes what is due; more is false after the last, and once nobody listens.
func (p *passing) next() (is []int, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	is, p.due = p.due, nil
	return is, !p.lost && (len(is) > 0 || !p.last)
}

func (p *passing) run(ctx context.Context) {
	defer func() { <-p.room }()
	for {
		is, more := p.next()
		if !more {
			return
		}
		if len(is) == 0 {
			select {
			case <-p.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		items := make([]Item, len(is))
		for k, i := range is {
			it := p.t.items[i]
			items[k] = Item{Hash: it.hash, Size: int(it.size), Fanout: true, Served: int(it.copys)}
		}
		soon, cancel := context.WithTimeout(ctx, passTime)
		p.to.Pass(soon, p.t.from, p.t.lease, items, func(k int, a Ack) { p.relay(is[k], a) })
		cancel()
	}
}

// relay tells the sender what a says of item i.
func (p *passing) relay(i int, a Ack) {
	if a.Peer == "" || a.Status == 0 {
		return
	}
	p.mu.Lock()
	lost := p.lost
	p.mu.Unlock()
	if lost || p.t.l.send(&ack{idx: uint32(i), status: uint32(a.Status), peer: []byte(a.Peer)}) == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = true
}
