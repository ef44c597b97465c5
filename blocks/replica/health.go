package replica

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
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

// Health counts the copies of bs that their 2r closest live members and other holders,
// without the publisher, prove to have now. Under a lease only copies held under one count: what
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
		Copies: make([]int, r+1), Min: math.MaxInt, Holders: []peer.ID{}, Proved: time.Now()}
	found, err := s.survey(ctx, l, r, bs, g)
	if err != nil {
		return h, err
	}
	holders, repairs, sum := map[peer.ID]bool{}, map[peer.ID]bool{}, 0
	for _, f := range found {
		h.Members = max(h.Members, min(len(f.near), 2*r))
		h.Bytes += f.Size
		for _, p := range f.who {
			holders[p] = true
		}
		n := len(f.who)
		h.Min, sum = min(h.Min, n), sum+n
		for len(h.Copies) <= n {
			h.Copies = append(h.Copies, 0)
		}
		h.Copies[n]++
		h.Detail = append(h.Detail, blocks.BlockCount{CID: f.CID, Holders: f.who})
	}
	for _, f := range found {
		if len(f.who) < min(r, h.Members) {
			h.AtRisk++
			if p, ok := f.repairs(); ok && leased {
				repairs[p] = true
			}
		}
	}
	h.Mean = float64(sum) / float64(max(len(bs), 1))
	if len(bs) == 0 { // the root's bytes are in its CID
		h.Min, h.Mean = r, float64(r)
	}
	h.Holders = slices.AppendSeq(h.Holders, maps.Keys(holders))
	slices.Sort(h.Holders)
	h.Repairs = slices.Sorted(maps.Keys(repairs))
	return h, nil
}
