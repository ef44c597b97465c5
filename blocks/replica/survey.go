package replica

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// found is a block, and what those said of it who should have it.
type found struct {
	Sized
	near []peer.ID           // live members by distance, without the publisher, at most 2r that have room
	more []peer.ID           // the holders beside the first r of them
	said map[peer.ID]*answer // nobody who was not asked
	who  []peer.ID           // whose proof is right, sorted
}

// answer is what a peer said of a block.
type answer struct {
	state wire.State
	proof []byte
	wrong bool  // the proof
	err   error // it did not answer
}

// repairs gives who is to restore missing copies.
func (f *found) repairs() (peer.ID, bool) {
	for _, p := range slices.Concat(f.near, f.more) {
		if slices.Contains(f.who, p) {
			return p, true
		}
	}
	return "", false
}

// survey asks the 2r closest live members of each block, one more for each of them that has
// no room, and its holders beside them for proof, and extra ones, which are never counted. l
// says who the publisher is, if anybody.
func (s *Set) survey(ctx context.Context, l blocks.Lease, r int, bs []Sized, g blocks.Getter, extra ...peer.ID) ([]*found, error) {
	a := audit{set: s, g: g, least: wire.Here, nonce: make([]byte, 32)}
	if l.Publisher != "" {
		a.least = wire.Held
	}
	_, _ = rand.Read(a.nonce) // never fails
	asks := map[peer.ID][]*found{}
	all := make([]*found, len(bs))
	for i, b := range bs {
		near, more, err := s.holders(ctx, b.CID.Hash(), l.Publisher, r)
		if err != nil {
			return nil, fmt.Errorf("replica: survey: %w", err)
		}
		f := &found{Sized: b, near: near, more: more, said: map[peer.ID]*answer{}}
		all[i] = f
		for _, p := range slices.Concat(near, more, extra) {
			if f.said[p] == nil {
				f.said[p] = &answer{}
				asks[p] = append(asks[p], f)
			}
		}
	}
	if err := a.collect(ctx, asks); err != nil {
		return nil, err
	}
	for _, f := range all {
		if err := a.judge(ctx, f); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// audit is one round of proofs.
type audit struct {
	set   *Set
	g     blocks.Getter
	least wire.State // what counts as a copy
	nonce []byte
}

// perAsk bounds the blocks a peer reads for one question.
const perAsk = 32

func (a *audit) collect(ctx context.Context, asks map[peer.ID][]*found) error {
	var mu sync.Mutex // guards every answer
	var g errgroup.Group
	for p, fs := range asks {
		g.Go(func() error {
			var silent error
			for part := range slices.Chunk(fs, perAsk) {
				hs := make([]mh.Multihash, len(part))
				for k, f := range part {
					hs[k] = f.CID.Hash()
				}
				var proofs []wire.Proven
				if silent == nil { // one that does not answer once is not waited for again
					if proofs, silent = a.ask(ctx, p, hs); silent != nil {
						a.set.log.Debug("holder did not prove", "peer", p, "err", silent)
					}
				}
				mu.Lock()
				for k, f := range part {
					if f.said[p].err = silent; silent == nil {
						f.said[p].state, f.said[p].proof = proofs[k].State, proofs[k].MAC
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

// judge finds the holders of f whose proof is right.
func (a *audit) judge(ctx context.Context, f *found) error {
	f.who = []peer.ID{}
	var claims []*answer // of all who say that they have it, held or not
	for _, x := range f.said {
		if x.state >= wire.Here {
			claims = append(claims, x)
		}
	}
	if len(claims) == 0 {
		return nil
	}
	right, ok := a.own(ctx, f.CID.Hash())
	if !ok && len(claims) > 1 && agree(claims) {
		right, ok = claims[0].proof, true
	}
	if !ok {
		b, err := a.g.Get(ctx, f.CID)
		switch {
		case blocks.IsNotFound(err):
			for _, x := range claims {
				x.wrong = true
			}
			return nil
		case err != nil:
			return fmt.Errorf("replica: survey: %w", err)
		}
		right = wire.Proof(a.nonce, b.RawData())
	}
	for p, x := range f.said {
		switch {
		case x.state < wire.Here:
		case !bytes.Equal(x.proof, right):
			x.wrong = true
			a.set.log.Warn("holder gave a false proof", "peer", p, "cid", f.CID)
		case x.state >= a.least && (slices.Contains(f.near, p) || slices.Contains(f.more, p)):
			f.who = append(f.who, p)
		}
	}
	slices.Sort(f.who)
	return nil
}

func agree(claims []*answer) bool {
	for _, x := range claims[1:] {
		if !bytes.Equal(claims[0].proof, x.proof) {
			return false
		}
	}
	return true
}
