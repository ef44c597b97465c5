package replica

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica/rbsr"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// Zone says who is near this peer.
type Zone interface {
	Zone() []peer.ID // members that count, those in their grace and this peer among them
	IsMember(p peer.ID) bool
}

// Comparer compares with other holders, and gets from them what is lacking here.
type Comparer interface {
	Sync(ctx context.Context, p peer.ID, x wire.Asker) error
	Names(ctx context.Context, p peer.ID, names []wire.Name) ([]mh.Multihash, error)
	Fetch(ctx context.Context, p peer.ID, c cid.Cid) (blocks.Block, error)
}

const (
	sessions = 4           // comparisons at a time
	fetches  = 8           // blocks that are fetched at a time, of one neighbour
	pulled   = 256         // blocks that one comparison fetches at most: the others have a share too
	settled  = time.Second // what is kept together is not computed anew sooner
)

// Compared is what a comparison with a neighbour showed and did.
type Compared struct {
	Common int // keys both have
	Have   int // keys only this peer has
	Need   int // keys only the other one has
	Given  int // blocks that were offered to the other
	Got    int // blocks that were fetched from it
}

// syncing compares with each neighbour at its time: what changes nothing costs some bytes.
//
//	neighbours → rbsr over the wire → audit → give what the other lacks, fetch what I lack
func (s *Set) syncing(ctx context.Context) error {
	if s.cfg.Compare == nil || s.cfg.Zone == nil || s.cfg.NoRepair {
		return nil
	}
	select {
	case <-s.router.Ready():
	case <-ctx.Done():
		return nil
	}
	due := map[peer.ID]time.Time{}
	for {
		near := s.neighbours()
		var g errgroup.Group
		g.SetLimit(sessions)
		for p := range due {
			if !slices.Contains(near, p) {
				delete(due, p)
			}
		}
		for _, p := range near {
			if at, known := due[p]; !known {
				due[p] = time.Now().Add(s.cfg.AfterChange)
				continue
			} else if time.Now().Before(at) {
				continue
			}
			due[p] = time.Now().Add(s.cfg.SyncEvery/2 + time.Duration(s.dice.Int64N(int64(s.cfg.SyncEvery))))
			own := rand.New(rand.NewPCG(s.dice.Uint64(), s.dice.Uint64()))
			g.Go(func() error { // ends with its deadlines or ctx
				if c, err := s.compare(ctx, p, own); err != nil {
					s.log.Debug("not compared", "peer", p, "err", err)
				} else if c.Have+c.Need > 0 {
					s.log.Debug("compared", "peer", p, "common", c.Common, "have", c.Have, "need", c.Need, "given", c.Given, "got", c.Got)
				}
				return nil
			})
		}
		_ = g.Wait()
		if !sleep(ctx, min(s.cfg.AfterChange, s.cfg.SyncEvery/4)) {
			return nil
		}
	}
}

// neighbours gives the live members that may hold something together with this peer.
func (s *Set) neighbours() (out []peer.ID) {
	members := s.cfg.Zone.Zone()
	keys, at := places(members)
	for _, i := range keys.Neighbours(keyspace.OfPeer(s.self), s.cfg.R+1) { // one more: the publisher has no seat
		if p := at[keys[i]]; s.cfg.Zone.IsMember(p) {
			out = append(out, p)
		}
	}
	return s.distant(out)
}

// distant adds to near those live members that are too far away to share keys by them alone,
// and hold something together with this peer as it was when that was last computed.
func (s *Set) distant(near []peer.ID) []peer.ID {
	if s.cfg.Places == nil {
		return near
	}
	s.sharing.Lock()
	sh := s.shared
	s.sharing.Unlock()
	if sh == nil {
		return near
	}
	for _, p := range slices.Sorted(maps.Keys(sh.with)) {
		if !slices.Contains(near, p) && s.cfg.Zone.IsMember(p) {
			near = append(near, p)
		}
	}
	return near
}

// places gives the sorted keys of members, and whose they are.
func places(members []peer.ID) (keyspace.Set, map[keyspace.Key]peer.ID) {
	keys, at := make([]keyspace.Key, len(members)), make(map[keyspace.Key]peer.ID, len(members))
	for i, p := range members {
		keys[i] = keyspace.OfPeer(p)
		at[keys[i]] = p
	}
	return keyspace.SetOf(keys), at
}

// shared is what this peer keeps together with each of the others: the keys for which
// both are holders, by this peer's view, or stand in for one of those that has no room. It is
// whole and never changes.
type shared struct {
	at      time.Time
	members []peer.ID
	held    int64
	hashes  map[rbsr.Key]mh.Multihash
	with    map[peer.ID]*rbsr.Set
}

// and gives the keys that are kept together with p.
func (sh *shared) and(p peer.ID) *rbsr.Set {
	if set := sh.with[p]; set != nil {
		return set
	}
	return rbsr.NewSet(nil)
}

// together gives what is kept together, computed anew when members or holdings have changed.
func (s *Set) together(ctx context.Context) (*shared, error) {
	s.sharing.Lock()
	defer s.sharing.Unlock()
	members := s.cfg.Zone.Zone()
	slices.Sort(members)
	if sh := s.shared; sh != nil {
		age := time.Since(sh.at)
		if age < settled || age < s.cfg.SyncEvery/2 && sh.held == s.ledger.Count() && slices.Equal(sh.members, members) {
			return sh, nil
		}
	}
	sh := &shared{at: time.Now(), members: members, held: s.ledger.Count(), hashes: map[rbsr.Key]mh.Multihash{}, with: map[peer.ID]*rbsr.Set{}}
	keys, at := places(members)
	full := s.fullAmong(members)
	with := map[peer.ID][]rbsr.Key{}
	var group func(peer.ID) keyspace.Group
	if s.cfg.Places != nil {
		group = s.nets()
	}
	for held, err := range s.ledger.Held(ctx) {
		if err != nil {
			return nil, fmt.Errorf("replica: what is kept together: %w", err)
		}
		l, ok := blocks.Governing(blocks.Standing(held.Leases, sh.at))
		if !ok {
			continue
		}
		x := keyspace.OfHash(held.Hash)
		var near []peer.ID
		for _, i := range keys.Nearest(x, 2*l.R+1+min(full, 2*l.R)) {
			near = append(near, at[keys[i]])
		}
		seats, mine := s.keepers(x, others(near, l.Publisher, len(near)), l.R)
		if group != nil {
			for _, p := range holdersAmong(keys, at, x, l, group) {
				if !slices.Contains(seats, p) && (p == s.self || !s.hasRefused(p, digestOf(x), false)) {
					seats, mine = append(seats, p), mine || p == s.self
				}
			}
		}
		if !mine {
			continue
		}
		sh.hashes[rbsr.Key(x)] = held.Hash
		for _, p := range seats {
			if p != s.self {
				with[p] = append(with[p], rbsr.Key(x))
			}
		}
	}
	for p, ks := range with {
		sh.with[p] = rbsr.NewSet(ks)
	}
	s.shared = sh
	return sh, nil
}

// Compare compares with p what both are to hold, asks it to prove some of it, gives it
// what it lacks where that is for this peer to do, and fetches what is lacking here.
func (s *Set) Compare(ctx context.Context, p peer.ID) (Compared, error) {
	return s.compare(ctx, p, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
}

func (s *Set) compare(ctx context.Context, p peer.ID, dice *rand.Rand) (c Compared, err error) {
	if s.cfg.Compare == nil || s.cfg.Zone == nil {
		return c, errors.New("replica: compare: not set up")
	}
	sh, err := s.together(ctx)
	if err != nil {
		return c, err
	}
	mine := sh.and(p)
	if mine.Len() > rbsr.MaxKeys {
		return c, fmt.Errorf("replica: compare: %d keys, limit %d", mine.Len(), rbsr.MaxKeys)
	}
	x := rbsr.Initiate(mine)
	if err := s.cfg.Compare.Sync(ctx, p, x); err != nil {
		return c, fmt.Errorf("replica: compare: %w", err)
	}
	have, need := x.Differences()
	c = Compared{Common: mine.Len() - len(have), Have: len(have), Need: len(need)}
	if !s.cfg.NoAudit && s.trusted(p) {
		if err := s.audits(ctx, p, sh, mine, have, dice); err != nil {
			return c, fmt.Errorf("replica: audit: %w", err)
		}
	}
	if !s.trusted(p) {
		return c, nil // what it says it lacks or has is worth nothing
	}
	if c.Given, err = s.bring(ctx, p, sh, have); err != nil {
		return c, err
	}
	c.Got, err = s.pull(ctx, p, sh, need)
	return c, err
}

// bring gives p those of keys that it lacks and that this peer, as the closest one that
// can, is to give.
func (s *Set) bring(ctx context.Context, p peer.ID, sh *shared, keys []rbsr.Key) (given int, err error) {
	for part := range slices.Chunk(keys, wire.Batch) {
		hs := make([]mh.Multihash, len(part))
		for i, k := range part {
			hs[i] = sh.hashes[k]
		}
		states, err := s.peers.States(ctx, p, hs)
		if err != nil {
			return given, fmt.Errorf("replica: compare: %w", err)
		}
		var ts []*task
		for i, h := range hs {
			if states[i] == wire.Held { // its view of who is near is another one
				s.hand.tookIt(p, digest(part[i][:len(digest{})]))
				s.hand.unpoint(p, digest(part[i][:len(digest{})]))
				continue
			}
			ls, err := s.ledger.Leases(ctx, h)
			if err != nil {
				return given, fmt.Errorf("replica: compare: %w", err)
			}
			l, ok := blocks.Governing(blocks.Standing(ls, time.Now()))
			if !ok {
				continue
			}
			o, _, _, err := s.glance(ctx, h, l)
			if err != nil {
				return given, fmt.Errorf("replica: compare: %w", err)
			}
			if !o.seated(p) { // one of the two has not met everybody yet, or p has lost what it kept in another's place
				if d := digestOfHash(h); s.hand.names(p, d) {
					s.hand.unpoint(p, d)
					s.retry(h, appointment{})
				}
				continue
			}
			first := slices.IndexFunc(o.seats, func(st seat) bool { return st.alive && !st.full && st.peer != p })
			if full := s.isFull(p); full || first < 0 || o.seats[first].peer != s.self {
				s.refusedBy(p, digestOfHash(h), false)
				if full {
					s.retry(h, appointment{}) // the next closest is to have it
				}
				continue // there is a closer one; where it cannot, the repair rounds do
			}
			if s.cfg.NoRepair {
				continue
			}
			t := &task{hash: h, lease: l, to: []peer.ID{p}, live: o.live(), since: s.lacks(h, 1)}
			if s.calm.claim(t) {
				ts = append(ts, t)
			}
		}
		s.carry(ctx, s.calm, ts)
		given += len(ts)
	}
	return given, ctx.Err()
}

// pull fetches from p what this peer is to hold and lacks.
func (s *Set) pull(ctx context.Context, p peer.ID, sh *shared, keys []rbsr.Key) (got int, err error) {
	keys = s.wants(p, sh, keys)
	keys = keys[:min(len(keys), pulled)]
	if len(keys) == 0 {
		return 0, nil
	}
	hs, err := s.cfg.Compare.Names(ctx, p, keys)
	if err != nil {
		return 0, fmt.Errorf("replica: pull: %w", err)
	}
	ends := make([]bool, len(hs))
	var g errgroup.Group
	g.SetLimit(fetches)
	for i, h := range hs {
		if h == nil || rbsr.Key(keyspace.OfHash(h)) != keys[i] {
			continue
		}
		g.Go(func() error {
			var err error
			if ends[i], err = s.take(ctx, p, h); err != nil {
				s.log.Debug("block not fetched", "peer", p, "key", h.B58String(), "err", err)
			}
			return nil
		})
	}
	_ = g.Wait()
	for _, ok := range ends {
		if ok {
			got++
		}
	}
	return got, ctx.Err()
}

// take brings h here from p, under the leases that p holds it under, by the rules by which
// it could have been offered.
func (s *Set) take(ctx context.Context, p peer.ID, h mh.Multihash) (bool, error) {
	ls, err := s.peers.Leases(ctx, p, h)
	if err != nil {
		return false, err
	}
	ls = slices.DeleteFunc(ls, func(l blocks.Lease) bool { return l.Valid(time.Now()) != nil })
	l, ok := blocks.Governing(ls)
	if !ok {
		return false, nil
	}
	if got, err := s.takeUnder(ctx, p, h, l); !got || err != nil {
		return got, err
	}
	for _, other := range ls {
		if other.ID() == l.ID() {
			continue
		}
		size, err := s.store.Size(ctx, h)
		if err == nil {
			_, err = s.Offer(ctx, p, other, []wire.Item{{Hash: h, Size: size}}) // it is here: no more than an entry
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// takeUnder is take under one of the leases.
func (s *Set) takeUnder(ctx context.Context, p peer.ID, h mh.Multihash, l blocks.Lease) (bool, error) {
	// What p takes for this peer's may be so only because p has just started.
	o, _, _, err := s.glance(ctx, h, l)
	if err != nil || !o.seated(s.self) {
		return false, err
	}
	size, err := s.store.Size(ctx, h)
	if err != nil && !blocks.IsNotFound(err) {
		return false, err
	}
	says, err := s.Offer(ctx, p, l, []wire.Item{{Hash: h, Size: size}})
	switch {
	case err != nil:
		return false, err
	case says[0] == wire.Have:
		return true, nil
	case says[0] != 0:
		if noRoom(says[0]) {
			s.keptBy(p, digestOfHash(h), true)
		}
		return false, nil
	case s.Crowded(): // how large it is is not known before it is here
		s.keptBy(p, digestOfHash(h), true)
		return false, nil
	}
	b, err := s.cfg.Compare.Fetch(ctx, p, blocks.Key(h))
	if err != nil {
		return false, err
	}
	err = s.Keep(ctx, p, l, b)
	var no *wire.Refusal
	if errors.As(err, &no) && noRoom(no.Code) { // it is not fetched in vain again
		s.keptBy(p, digestOfHash(h), true)
	}
	if err == nil {
		s.mended(int64(len(b.RawData())))
		s.log.Info("copy fetched", "root", l.Root, "key", h.B58String(), "peer", p)
	}
	return err == nil, err
}

var _ wire.Reconciler = (*Set)(nil)

// Reconcile implements wire.Reconciler: members are told what is kept together with them.
func (s *Set) Reconcile(ctx context.Context, from peer.ID) (wire.Answerer, error) {
	if s.cfg.Zone == nil || !s.cfg.Zone.IsMember(from) {
		return nil, errors.New("replica: not a member")
	}
	sh, err := s.together(ctx)
	if err != nil {
		return nil, err
	}
	return rbsr.Respond(sh.and(from)), nil
}

// Names implements wire.Reconciler, for what is kept together with from.
func (s *Set) Names(ctx context.Context, from peer.ID, names []wire.Name) ([]mh.Multihash, error) {
	if s.cfg.Zone == nil || !s.cfg.Zone.IsMember(from) {
		return nil, errors.New("replica: not a member")
	}
	sh, err := s.together(ctx)
	if err != nil {
		return nil, err
	}
	out, both := make([]mh.Multihash, len(names)), sh.and(from)
	for i, k := range names {
		if both.Has(k) {
			out[i] = sh.hashes[k]
		}
	}
	return out, nil
}
