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
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// Sized is a block and its size in bytes.
type Sized struct {
	CID  cid.Cid
	Size int64
}

// LeaseOf finds the lease that decides over h: in the own ledger, or from the
// nearest live member that shows a valid one. It answers false for none.
func (s *Set) LeaseOf(ctx context.Context, h mh.Multihash) (blocks.Lease, bool) {
	ls, err := s.ledger.Leases(ctx, h)
	if err == nil {
		if l, ok := blocks.Governing(blocks.Standing(ls, time.Now())); ok {
			return l, true
		}
	}
	near, _, err := s.router.Closest(ctx, h, 2*s.cfg.R)
	if err != nil {
		return blocks.Lease{}, false
	}
	for _, p := range near {
		if p == s.self {
			continue
		}
		ls, err := s.peers.Leases(ctx, p, h)
		if err != nil {
			s.log.Debug("no leases told", "peer", p, "err", err)
			continue
		}
		ls = slices.DeleteFunc(ls, func(l blocks.Lease) bool { return l.Valid(time.Now()) != nil })
		if l, ok := blocks.Governing(ls); ok {
			return l, true
		}
	}
	return blocks.Lease{}, false
}

// Health counts the copies of bs that their 2r closest live members, without the
// publisher, prove to have now. Under a lease only copies held under one count: what
// a peer has merely read it may forget at any time. A proof is checked against the block where this
// peer has it; elsewhere it must agree with another holder's, and where proofs
// stand against each other, or there is but one, the block is got from g to decide.
func (s *Set) Health(ctx context.Context, root cid.Cid, bs []Sized, g blocks.Getter) (blocks.Health, error) {
	l, leased := s.LeaseOf(ctx, root.Hash())
	r := s.cfg.R
	if leased {
		r = l.R
	}
	h := blocks.Health{Root: root, Target: r, Blocks: len(bs), Leased: leased, Publisher: l.Publisher, Expires: l.Expires,
		Copies: make([]int, r+1), Min: 2 * r, Holders: []peer.ID{}, Proved: time.Now()}
	a := audit{set: s, g: g, least: wire.Here, proofs: make([]map[peer.ID][]byte, len(bs)), nonce: make([]byte, 32)}
	if leased {
		a.least = wire.Held
	}
	_, _ = rand.Read(a.nonce)
	asks := map[peer.ID][]int{}
	for i, b := range bs {
		near, err := s.holders(ctx, b.CID.Hash(), l.Publisher, 2*r)
		if err != nil {
			return h, fmt.Errorf("replica: health: %w", err)
		}
		h.Members = max(h.Members, len(near))
		h.Bytes += b.Size
		a.proofs[i] = map[peer.ID][]byte{}
		for _, p := range near {
			asks[p] = append(asks[p], i)
		}
	}
	if err := a.collect(ctx, bs, asks); err != nil {
		return h, err
	}
	holders, sum := map[peer.ID]bool{}, 0
	for i, b := range bs {
		who, err := a.judge(ctx, b.CID, a.proofs[i])
		if err != nil {
			return h, err
		}
		for _, p := range who {
			holders[p] = true
		}
		n := len(who)
		h.Min, sum = min(h.Min, n), sum+n
		for len(h.Copies) <= n {
			h.Copies = append(h.Copies, 0)
		}
		h.Copies[n]++
		if n < min(r, h.Members) {
			h.AtRisk++
		}
		h.Detail = append(h.Detail, blocks.BlockCount{CID: b.CID, Holders: who})
	}
	h.Mean = float64(sum) / float64(max(len(bs), 1))
	for p := range holders {
		h.Holders = append(h.Holders, p)
	}
	slices.Sort(h.Holders)
	return h, nil
}

// audit is one round of proofs.
type audit struct {
	set    *Set
	g      blocks.Getter
	least  wire.State // what counts as a copy
	nonce  []byte
	proofs []map[peer.ID][]byte // for each block, by holder
}

// perAsk bounds the blocks a peer reads for one question.
const perAsk = 32

func (a *audit) collect(ctx context.Context, bs []Sized, asks map[peer.ID][]int) error {
	var mu sync.Mutex // guards the maps in a.proofs
	var g errgroup.Group
	for p, is := range asks {
		g.Go(func() error {
			for part := range slices.Chunk(is, perAsk) {
				hs := make([]mh.Multihash, len(part))
				for k, i := range part {
					hs[k] = bs[i].CID.Hash()
				}
				proofs, err := a.ask(ctx, p, hs)
				if err != nil {
					a.set.log.Debug("holder did not prove", "peer", p, "err", err)
					return nil
				}
				mu.Lock()
				for k, i := range part {
					if proofs[k].State >= a.least {
						a.proofs[i][p] = proofs[k].MAC
					}
				}
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait()
	return ctx.Err()
}

func (a *audit) ask(ctx context.Context, p peer.ID, hs []mh.Multihash) ([]wire.Proven, error) {
	if p != a.set.self {
		return a.set.peers.Prove(ctx, p, a.nonce, hs)
	}
	proofs := make([]wire.Proven, len(hs))
	for i, h := range hs {
		mac, ok := a.own(ctx, h)
		if !ok {
			continue
		}
		state, err := wire.StateOf(ctx, a.set.store, a.set.ledger, h)
		if err != nil {
			return nil, err
		}
		proofs[i] = wire.Proven{State: state, MAC: mac}
	}
	return proofs, nil
}

// own is this peer's proof of h, if it has the block.
func (a *audit) own(ctx context.Context, h mh.Multihash) (proof []byte, ok bool) {
	err := a.set.store.View(ctx, h, func(data []byte) error { proof = wire.Proof(a.nonce, data); return nil })
	return proof, err == nil
}

// judge gives the holders whose proof is right.
func (a *audit) judge(ctx context.Context, c cid.Cid, proofs map[peer.ID][]byte) (who []peer.ID, err error) {
	if len(proofs) == 0 {
		return []peer.ID{}, nil
	}
	right, ok := a.own(ctx, c.Hash())
	if !ok && len(proofs) > 1 && agree(proofs) {
		for _, right = range proofs {
			ok = true
			break
		}
	}
	if !ok {
		b, err := a.g.Get(ctx, c)
		switch {
		case blocks.IsNotFound(err):
			return []peer.ID{}, nil
		case err != nil:
			return nil, fmt.Errorf("replica: health: %w", err)
		}
		right = wire.Proof(a.nonce, b.RawData())
	}
	for p, proof := range proofs {
		if bytes.Equal(proof, right) {
			who = append(who, p)
		} else {
			a.set.log.Warn("holder gave a false proof", "peer", p, "cid", c)
		}
	}
	slices.Sort(who)
	return who, nil
}

func agree(proofs map[peer.ID][]byte) bool {
	var first []byte
	for _, p := range proofs {
		if first == nil {
			first = p
		}
		if !bytes.Equal(first, p) {
			return false
		}
	}
	return true
}
