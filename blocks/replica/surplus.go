package replica

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// shedAtOnce bounds the blocks that are let go in one batch: each is challenged at r peers.
const shedAtOnce = 128

// shed notes which of batch are surplus here: others have all the seats. What has been so
// for long enough is let go. Since when is kept in memory only, so that a restart begins the
// time anew.
func (s *Set) shed(ctx context.Context, batch []*owed) error {
	var due []*owed
	now := time.Now()
	s.mu.Lock()
	for _, o := range batch {
		since, noted := s.over[string(o.hash)]
		seated := slices.ContainsFunc(o.seats, func(st seat) bool { return st.peer == s.self })
		switch {
		case seated || o.lease.Publisher == s.self || len(o.seats) < o.lease.R:
			delete(s.over, string(o.hash))
		case !noted && len(s.over) < maxNoted:
			s.over[string(o.hash)] = now
		case noted && s.cfg.Surplus >= 0 && now.Sub(since) >= s.cfg.Surplus && len(due) < shedAtOnce:
			due = append(due, o)
		}
	}
	s.mu.Unlock()
	if _, on := s.braked(); on || len(due) == 0 {
		return nil
	}
	return s.letGo(ctx, due)
}

// spared is a block that may be let go, and by whom it must be proved under each lease.
type spared struct {
	hash   mh.Multihash
	leases []blocks.Lease
	near   [][]peer.ID // of each lease its holders, all live, and r of them closer than this peer
	proof  []byte      // the right one
	proved map[peer.ID]bool

	owed *owed     // who may hold it, for what gives way
	size int64     // bytes, for what gives way
	keep []peer.ID // who proved to hold it, nearest first, for what gives way
}

// letGo ends that this peer holds those of due that every one of their holders, for each
// lease, proves now to hold too. Only proofs of peers that are closer to the block than
// this one count, and r of them are needed: of any number of peers that let go at the same time, whatever each takes
// for the truth, the r closest that have the block find too few. What is let go stays on the
// disk, as something merely read.
func (s *Set) letGo(ctx context.Context, due []*owed) error {
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce)
	var all []*spared
	asks := map[peer.ID][]*spared{}
	for _, o := range due {
		c, err := s.spare(ctx, o.hash, nonce)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		all = append(all, c)
		asked := map[peer.ID]bool{}
		for _, p := range slices.Concat(c.near...) {
			if !asked[p] {
				asked[p] = true
				asks[p] = append(asks[p], c)
			}
		}
	}
	defer s.parting(all)()
	s.challenge(ctx, nonce, asks)
	for _, c := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if slices.ContainsFunc(c.near, func(near []peer.ID) bool {
			return slices.ContainsFunc(near, func(p peer.ID) bool { return !c.proved[p] })
		}) {
			continue
		}
		if _, err := s.release(ctx, c, "surplus copy let go"); err != nil {
			return err
		}
	}
	return nil
}

// challenge asks each peer to prove that it holds its blocks, all peers at once, and notes of
// each block who did.
func (s *Set) challenge(ctx context.Context, nonce []byte, asks map[peer.ID][]*spared) {
	var mu sync.Mutex // guards what is proved
	var g errgroup.Group
	for p, cs := range asks {
		g.Go(func() error {
			for part := range slices.Chunk(cs, perAsk) {
				hs := make([]mh.Multihash, len(part))
				for i, c := range part {
					hs[i] = c.hash
				}
				proofs, err := s.peers.Prove(ctx, p, nonce, hs)
				if err != nil || len(proofs) != len(part) {
					s.log.Debug("holder did not prove", "peer", p, "err", err)
					return nil
				}
				mu.Lock()
				for i, c := range part {
					c.proved[p] = proofs[i].State == wire.Held && bytes.Equal(proofs[i].MAC, c.proof)
				}
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait()
}

// proofOf makes the proof that others have to give for c.
func (s *Set) proofOf(ctx context.Context, c *spared, nonce []byte) error {
	return s.store.View(ctx, c.hash, func(data []byte) error { c.proof = wire.Proof(nonce, data); return nil })
}

// spare finds who must prove to hold h for it to be let go; nil when it cannot be.
func (s *Set) spare(ctx context.Context, h mh.Multihash, nonce []byte) (*spared, error) {
	ls, err := s.ledger.Leases(ctx, h)
	if err != nil {
		return nil, fmt.Errorf("replica: surplus: %w", err)
	}
	c := &spared{hash: h, leases: ls, proved: map[peer.ID]bool{}}
	most := 0
	for _, l := range ls {
		most = max(most, l.R)
	}
	ids, alive, err := s.router.Seats(ctx, h, most+1)
	if err != nil {
		return nil, ctx.Err() // another time
	}
	x, self := keyspace.OfHash(h), keyspace.OfPeer(s.self)
	for _, l := range blocks.Standing(ls, time.Now()) {
		if l.Publisher == s.self {
			return nil, nil
		}
		seats := seatsOf(ids, alive, l.Publisher)
		if len(seats) < l.R {
			return nil, nil
		}
		var near []peer.ID
		for _, st := range seats[:l.R] {
			if !st.alive || keyspace.Closer(x, keyspace.OfPeer(st.peer), self) >= 0 {
				return nil, nil // a seat is lost, or this peer's own
			}
			near = append(near, st.peer)
		}
		for _, st := range s.spread(ctx, h, l.Publisher, seats, len(ids) == most+1, l.R, true) {
			if !st.alive || st.peer == s.self {
				return nil, nil
			}
			near = append(near, st.peer)
		}
		c.near = append(c.near, near)
	}
	if err = s.proofOf(ctx, c, nonce); err != nil || len(c.near) == 0 {
		return nil, ctx.Err() // it is not here to be let go, or nothing stands for it: the collection's
	}
	return c, nil
}

// release ends that c is held here, and reports whether it did: not if it was given anew
// meanwhile. why is for the log.
func (s *Set) release(ctx context.Context, c *spared, why string) (bool, error) {
	s.entering.Lock()
	defer s.entering.Unlock()
	ls, err := s.ledger.Leases(ctx, c.hash)
	if err != nil {
		return false, fmt.Errorf("replica: surplus: %w", err)
	}
	same := func(a, b blocks.Lease) bool { return a.ID() == b.ID() && a.Seq == b.Seq }
	if !slices.EqualFunc(ls, c.leases, same) {
		return false, nil
	}
	size, err := s.store.Size(ctx, c.hash)
	if err != nil {
		return false, fmt.Errorf("replica: surplus: %w", err)
	}
	for _, l := range ls {
		if err := s.ledger.Release(ctx, l.ID(), c.hash); err != nil {
			return false, fmt.Errorf("replica: surplus: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books.enter(s.self, ls, -int64(size))
	delete(s.over, string(c.hash))
	s.log.Info(why, "key", c.hash.B58String(), "holders", len(c.proved))
	return true, nil
}

// Surplus is how many of the blocks held here have all their holders elsewhere.
func (s *Set) Surplus() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.over))
}
