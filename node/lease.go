package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// A lease outlives its publisher's presence, not its interest: as long as a root is
// pinned here and its end was not chosen, its lease is renewed when half of its time is
// over. A renewal is one signed record with a higher number, written to the few members
// closest to the lease's own key: root → the next number → sign → those members. Who
// holds the blocks asks there when the time is nearly over.

// signings is how often a lease is signed anew because the network knew a later one.
const signings = 3

// unleasedError says that there is no lease to change. [blocks.IsNotFound] holds for it.
type unleasedError struct {
	root   cid.Cid
	reason string
}

func (e *unleasedError) Error() string { return e.root.String() + ": " + e.reason }
func (e *unleasedError) Unwrap() error { return blocks.NotFound(e.root) }

// Leases yields this peer's own leases: those of its pins, and those under which blocks
// are still here.
func (n *Node) Leases(ctx context.Context) iter.Seq2[blocks.LeaseInfo, error] {
	return func(yield func(blocks.LeaseInfo, error) bool) {
		all, err := n.own(ctx)
		if err != nil {
			yield(blocks.LeaseInfo{}, fmt.Errorf("leases: %w", err))
			return
		}
		ids := slices.SortedFunc(maps.Keys(all), func(a, b blocks.LeaseID) int {
			return bytes.Compare(all[a].Root.Bytes(), all[b].Root.Bytes())
		})
		for _, id := range ids {
			if !yield(all[id], nil) {
				return
			}
		}
	}
}

func (n *Node) own(ctx context.Context) (map[blocks.LeaseID]blocks.LeaseInfo, error) {
	now, out := time.Now(), map[blocks.LeaseID]blocks.LeaseInfo{}
	for held, err := range n.ledger.Held(ctx) {
		if err != nil {
			return nil, err
		}
		for _, l := range held.Leases {
			if id := l.ID(); l.Publisher == n.host.ID() && out[id].Seq == 0 {
				out[id] = l.Info(now)
			}
		}
	}
	for pin, err := range n.ledger.Pins(ctx) {
		if err != nil {
			return nil, err
		}
		id := blocks.LeaseIDOf(n.host.ID(), pin.Root)
		l, ok, err := n.ledger.Lease(ctx, id)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		i := l.Info(now)
		i.Name, i.Pinned, i.Renews = pin.Name, true, renews(pin, l)
		out[id] = i
	}
	return out, nil
}

// renews reports whether pin's lease l is renewed by itself.
func renews(pin blocks.Pin, l blocks.Lease) bool {
	return pin.Lease == l.ID() && !pin.Ends && l.State == blocks.LeaseActive
}

// Renew makes others keep everything under path for expires from now on; 0 is as long as
// the last time. It costs one record on a few members, however large path is. A root that
// is pinned here without a lease that stands, somebody else's too, gets one of this
// peer's own, and is placed.
func (n *Node) Renew(ctx context.Context, path string, expires time.Duration) (blocks.LeaseInfo, error) {
	return n.Lease(ctx, path, blocks.LeaseOptions{Expires: expires})
}

// Lease is [Node.Renew] for who chooses the number of copies too; with another number than so
// far everything under path, which must be pinned here, is placed anew.
func (n *Node) Lease(ctx context.Context, path string, o blocks.LeaseOptions) (blocks.LeaseInfo, error) {
	if o.Expires != 0 && (o.Expires < blocks.MinLeaseTime || o.Expires > blocks.MaxLeaseTime) {
		return blocks.LeaseInfo{}, fmt.Errorf("renew: a lease of %s: want 1m to %s", o.Expires, Duration(blocks.MaxLeaseTime))
	}
	if o.Replicas < 0 || o.Replicas > blocks.MaxReplicas {
		return blocks.LeaseInfo{}, fmt.Errorf("renew: %d copies: want 1 to %d", o.Replicas, blocks.MaxReplicas)
	}
	root, err := n.Resolve(ctx, path)
	if err != nil {
		return blocks.LeaseInfo{}, fmt.Errorf("renew: %w", err)
	}
	info, err := n.renew(ctx, root, o)
	if err != nil {
		return info, fmt.Errorf("renew: %w", err)
	}
	return info, nil
}

func (n *Node) renew(ctx context.Context, root cid.Cid, o blocks.LeaseOptions) (info blocks.LeaseInfo, err error) {
	life := o.Expires
	pin, pinned, err := n.ledger.Pinned(ctx, root)
	if err != nil {
		return info, err
	}
	now := time.Now()
	l, ok, err := n.ledger.Lease(ctx, blocks.LeaseIDOf(n.host.ID(), root))
	if err != nil {
		return info, err
	}
	stands := ok && l.Valid(now) == nil
	chosen := life != 0
	var under []mh.Multihash
	if !ok {
		l = blocks.Lease{Root: root, R: n.cfg.Replica.R}
	}
	if o.Replicas != 0 && o.Replicas != l.R {
		l.R, stands = o.Replicas, false
	}
	if !stands {
		if !pinned {
			return info, &unleasedError{root, "no lease of it stands, and it is not pinned here"}
		}
		if under, l.Bytes, err = n.below(ctx, root); err != nil {
			return info, err
		}
	}
	switch {
	case life != 0:
	case ok:
		life = l.Expires.Sub(l.Issued)
	default:
		life = time.Duration(n.cfg.Replica.Expires)
	}
	l.State = blocks.LeaseActive
	done, err := n.declare(ctx, l, now.Add(life))
	if err != nil {
		return info, err
	}
	info = done.Lease.Info(now)
	info.Keepers = done.Keepers
	pin, pinned, err = n.ledger.Pinned(ctx, root) // it took a while: its owner may have changed his mind
	if err != nil || !pinned {
		return info, err
	}
	pin.Lease = done.Lease.ID()
	if chosen {
		pin.Ends = true
	}
	info.Name, info.Pinned, info.Renews = pin.Name, true, renews(pin, done.Lease)
	if !stands { // who held it may have let it go
		pin.Pending, pin.Blocks = true, len(under)
		if err := n.ledger.Hold(ctx, done.Lease, under...); err != nil {
			return info, err
		}
	}
	if err := n.ledger.Pin(ctx, pin); err != nil {
		return info, err
	}
	if !stands {
		n.set.Queue(done.Lease, pin)
	}
	return info, nil
}

// below gives the distinct blocks under root, and their bytes.
func (n *Node) below(ctx context.Context, root cid.Cid) (hs []mh.Multihash, size uint64, err error) {
	for v, err := range dag.Walk(ctx, n.nodes(ctx), root) {
		if err != nil {
			return nil, 0, err
		}
		hs, size = append(hs, v.CID.Hash()), size+uint64(v.Size)
	}
	return hs, size, nil
}

// declare signs l with the next number and makes it known. That nobody could be reached
// is no error: it counts here, and its record goes out when somebody can.
func (n *Node) declare(ctx context.Context, l blocks.Lease, expires time.Time) (done replica.Renewed, err error) {
	if n.recs == nil {
		return done, errors.New("this peer keeps no records")
	}
	seq := l.Seq
	for range signings {
		l.Seq, l.Issued, l.Expires = seq+1, time.Now(), expires
		if l, err = blocks.Grant(n.key, l); err != nil {
			return done, err
		}
		done, err = n.set.Declare(ctx, l)
		if !errors.Is(err, replica.ErrOlder) {
			break
		}
		seq = done.Lease.Seq
	}
	if errors.Is(err, replica.ErrUnkept) && ctx.Err() == nil {
		n.log.Info("nobody else keeps the record of a lease yet", "root", l.Root, "err", err)
		err = nil
	}
	return done, err
}

// Withdraw takes this peer's lease of path back: others may forget its blocks when they
// need the space, and repair them no longer. What is pinned here stays.
func (n *Node) Withdraw(ctx context.Context, path string) (info blocks.LeaseInfo, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("withdraw: %w", err)
		}
	}()
	root, err := n.Resolve(ctx, path)
	if err != nil {
		return info, err
	}
	l, ok, err := n.ledger.Lease(ctx, blocks.LeaseIDOf(n.host.ID(), root))
	if err != nil {
		return info, err
	}
	if !ok || l.Valid(time.Now()) != nil {
		return info, &unleasedError{root, "no lease of it by this peer stands"}
	}
	l.State = blocks.LeaseRevoked
	done, err := n.declare(ctx, l, l.Expires) // until then an older lease could be offered again
	if err != nil {
		return info, err
	}
	info = done.Lease.Info(time.Now())
	info.Keepers, info.Told = done.Keepers, done.Told
	pin, pinned, err := n.ledger.Pinned(ctx, root)
	if err != nil || !pinned {
		return info, err
	}
	info.Name, info.Pinned = pin.Name, true
	pin.Lease, pin.Pending = blocks.LeaseID{}, false
	return info, n.ledger.Pin(ctx, pin)
}

// renewing renews the leases of what is pinned here when half of their time is over.
func (n *Node) renewing(ctx context.Context) error {
	tick := time.NewTicker(min(n.cfg.Timing().LeaseCheck/10, 10*time.Minute))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := n.renewDue(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("leases are not renewed", "err", err)
		}
	}
}

func (n *Node) renewDue(ctx context.Context) error {
	now := time.Now()
	for pin, err := range n.ledger.Pins(ctx) {
		if err != nil {
			return err
		}
		if pin.Lease == (blocks.LeaseID{}) {
			continue
		}
		l, ok, err := n.ledger.Lease(ctx, pin.Lease)
		if err != nil {
			return err
		}
		if !ok || !renews(pin, l) || now.Sub(l.Issued) < l.Expires.Sub(l.Issued)/2 {
			continue
		}
		if info, err := n.renew(ctx, pin.Root, blocks.LeaseOptions{}); err != nil {
			n.log.Warn("a lease is not renewed", "root", pin.Root, "err", err)
		} else {
			n.log.Info("renewed a lease", "root", pin.Root, "expires", info.Expires, "keepers", info.Keepers)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
