package replicatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// patience is how long a peer waits for one that does not answer, as the wire does.
const patience = 10 * time.Second

// together is how many blocks of an offer go to the other's disk at once.
const together = 8

var errSilent = errors.New("replicatest: no answer")

// carrier is how one member reaches the others.
type carrier struct {
	w     *World
	m     *member
	reads bool // what it fetches is for somebody who reads
}

// contact is one exchange with another member.
type contact struct {
	w        *World
	from, to *member
	set      *replica.Set
	disk     *disk
	starts   int // of to, when it was reached
	delay    time.Duration
}

// sleep lets d pass unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reach brings a question to p, or fails as long after as one finds out.
func (c carrier) reach(ctx context.Context, p peer.ID) (*contact, error) {
	w := c.w
	w.mu.Lock()
	w.check.tally.Exchanges++
	n, ok := w.byID[p]
	if !ok {
		w.mu.Unlock()
		return nil, fmt.Errorf("replicatest: no peer %s", p)
	}
	to := w.members[n]
	k := &contact{w: w, from: c.m, to: to, set: to.set, disk: to.disk, starts: to.starts}
	k.delay = w.cfg.Latency.Min + w.later(c.m, to)*(w.cfg.Latency.Max-w.cfg.Latency.Min)/max(w.cfg.Spread, 1)
	good := w.reaches(c.m, to) && (w.cfg.Loss == 0 || w.rng.Float64() >= w.cfg.Loss)
	w.mu.Unlock()
	if !good {
		if err := sleep(ctx, patience); err != nil {
			return nil, err
		}
		return nil, errSilent
	}
	return k, sleep(ctx, k.delay)
}

// reaches reports whether two members can hold an exchange. The caller holds mu.
func (w *World) reaches(a, b *member) bool {
	cut := w.cut != nil && w.healAt.IsZero() && w.cut(int(a.n), int(b.n))
	blind := w.blind != nil && (w.blind(int(a.n), int(b.n)) || w.blind(int(b.n), int(a.n)))
	return a.up && b.up && !cut && !blind
}

// back brings the answer, if both sides are still there.
func (k *contact) back(ctx context.Context) error {
	if err := sleep(ctx, k.delay); err != nil {
		return err
	}
	return k.still(ctx)
}

func (k *contact) still(ctx context.Context) error {
	k.w.mu.Lock()
	ok := k.w.reaches(k.from, k.to) && k.to.starts == k.starts
	k.w.mu.Unlock()
	if ok {
		return nil
	}
	if err := sleep(ctx, patience); err != nil {
		return err
	}
	return errSilent
}

// send lets the time pass that n blocks take on both lines, behind what is on them.
func (k *contact) send(ctx context.Context, n int) error {
	w := k.w
	w.mu.Lock()
	now := time.Now()
	busy := func(free *time.Time, slow int64) time.Time {
		if free.Before(now) {
			*free = now
		}
		*free = free.Add(time.Duration(float64(int64(n)*w.cfg.Weight*max(slow, 1)) / float64(w.cfg.Bandwidth) * float64(time.Second)))
		return *free
	}
	sent, taken := busy(&k.from.sends, k.from.slow), busy(&k.to.takes, k.to.slow)
	w.mu.Unlock()
	if taken.After(sent) {
		sent = taken
	}
	if err := sleep(ctx, time.Until(sent)); err != nil {
		return err
	}
	return k.still(ctx)
}

// Offer implements replica.Peers.
func (c carrier) Offer(ctx context.Context, p peer.ID, l blocks.Lease, why wire.Reason, items []wire.Item, from wire.Lender, tell func(i int, a wire.Ack)) error {
	k, err := c.reach(ctx, p)
	if err != nil {
		return err
	}
	verdicts := slices.Repeat([]wire.Status{wire.BadLease}, len(items))
	if l.Valid(time.Now()) == nil {
		if verdicts, err = k.set.Offer(ctx, c.m.id, l, items); err != nil {
			return err
		}
	}
	if err := k.back(ctx); err != nil {
		return err
	}
	on := k.passOn(ctx, l, items, tell)
	defer on.wait()
	var todo []int
	for i, v := range verdicts {
		switch v {
		case 0:
			todo = append(todo, i)
		case wire.Have:
			on.tell(i, wire.Ack{Status: v})
		default:
			on.tell(i, refused(v))
		}
	}
	c.w.offered(why, items, verdicts)
	for part := range slices.Chunk(todo, together) {
		if err := k.bring(ctx, l, why, items, part, from, on.tell); err != nil {
			return err
		}
	}
	return nil
}

func refused(v wire.Status) wire.Ack {
	return wire.Ack{Status: v, Err: &wire.Refusal{Code: v, Reason: v.String()}}
}

// bring sends some of the wanted items, and tells what became of them.
func (k *contact) bring(ctx context.Context, l blocks.Lease, why wire.Reason, items []wire.Item, part []int, from wire.Lender, tell func(int, wire.Ack)) error {
	var bs []blocks.Block
	var at []int
	for _, i := range part {
		err := from.View(ctx, items[i].Hash, func(data []byte) error {
			b, err := blocks.Check(blocks.Key(items[i].Hash), data)
			bs, at = append(bs, b), append(at, i)
			return err
		})
		if err != nil {
			tell(i, wire.Ack{Status: wire.Failed, Err: err})
		}
	}
	if err := k.send(ctx, len(bs)); err != nil || len(bs) == 0 {
		return err
	}
	k.w.gave(k.from, len(bs))
	k.w.sent(why, k.to, bs)
	status := wire.Stored
	if err := k.set.Keep(ctx, k.from.id, l, bs...); err != nil {
		var no *wire.Refusal
		if status = wire.Failed; errors.As(err, &no) {
			status = no.Code
		}
	}
	if err := k.back(ctx); err != nil {
		return err
	}
	for _, i := range at {
		if status == wire.Stored {
			tell(i, wire.Ack{Status: status})
		} else {
			tell(i, refused(status))
		}
	}
	return nil
}

// States implements replica.Peers.
func (c carrier) States(ctx context.Context, p peer.ID, hs []mh.Multihash) ([]wire.State, error) {
	k, err := c.reach(ctx, p)
	if err != nil {
		return nil, err
	}
	c.w.asked(len(hs))
	out := make([]wire.State, len(hs))
	for i, h := range hs {
		if out[i], err = wire.StateOf(ctx, k.disk, k.disk, h); err != nil {
			return nil, err
		}
	}
	return out, k.back(ctx)
}

// Prove implements replica.Peers.
func (c carrier) Prove(ctx context.Context, p peer.ID, nonce []byte, hs []mh.Multihash) ([]wire.Proven, error) {
	k, err := c.reach(ctx, p)
	if err != nil {
		return nil, err
	}
	out := make([]wire.Proven, len(hs))
	for i, h := range hs {
		state, err := wire.StateOf(ctx, k.disk, k.disk, h)
		if err != nil {
			return nil, err
		}
		err = k.disk.View(ctx, h, func(data []byte) error {
			out[i] = wire.Proven{State: state, MAC: wire.Proof(nonce, data)}
			return nil
		})
		if err != nil && !blocks.IsNotFound(err) {
			return nil, err
		}
	}
	c.w.told(2*frameBytes + nonceBytes + len(hs)*(keyBytes+proofBytes))
	return out, k.back(ctx)
}

// Leases implements replica.Peers.
func (c carrier) Leases(ctx context.Context, p peer.ID, h mh.Multihash) ([]blocks.Lease, error) {
	k, err := c.reach(ctx, p)
	if err != nil {
		return nil, err
	}
	ls, err := k.disk.Leases(ctx, h)
	if err != nil {
		return nil, err
	}
	return blocks.Standing(ls, time.Now()), k.back(ctx)
}
