package replica

import (
	"context"
	"crypto/hmac"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica/rbsr"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// proofs is how many blocks are to be proved in a session: 64 in 10 minutes find a loss
// of a tenth with p > 0.998, and several neighbours ask.
const proofs = 16

// audits asks p to prove some of the keys both say they have, and notes if it cannot.
// What cannot be read here proves nothing of another, and no answer is no failure.
func (s *Set) audits(ctx context.Context, p peer.ID, sh *shared, mine *rbsr.Set, lacks []rbsr.Key, dice *rand.Rand) error {
	absent := make(map[rbsr.Key]bool, len(lacks))
	for _, k := range lacks {
		absent[k] = true
	}
	nonce := make([]byte, 32)
	_, _ = crand.Read(nonce)
	var hs []mh.Multihash
	var want [][]byte
	for tries, seen := 0, map[int]bool{}; tries < 4*proofs && len(hs) < min(proofs, mine.Len()-len(lacks)); tries++ {
		i := dice.IntN(mine.Len())
		k := mine.At(i)
		if seen[i] || absent[k] {
			continue
		}
		seen[i] = true
		h := sh.hashes[k]
		if s.store.View(ctx, h, func(b []byte) error { want = append(want, wire.Proof(nonce, b)); return nil }) == nil {
			hs = append(hs, h)
		}
	}
	if len(hs) == 0 {
		return nil
	}
	got, err := s.peers.Prove(ctx, p, nonce, hs)
	if err == nil && len(got) != len(hs) {
		err = fmt.Errorf("replica: %d proofs of %d", len(got), len(hs))
	}
	failed := 0
	for i := range got {
		if err == nil && !hmac.Equal(got[i].MAC, want[i]) && s.claims(ctx, p, hs[i], got[i]) {
			failed++
			s.log.Debug("block not proved", "peer", p, "key", hs[i].B58String())
		}
	}
	s.trust.mu.Lock()
	s.trust.audits.Asked += int64(len(hs))
	s.trust.audits.Failed += int64(failed)
	if err != nil {
		s.trust.audits.Unanswered += int64(len(hs))
	}
	s.trust.mu.Unlock()
	if failed > 0 && s.trust.blame(p) {
		s.log.Warn("peer failed an audit: its copies are replaced", "peer", p, "failed", failed, "of", len(hs), "for", distrusted)
	}
	return err
}

// claims reports whether p, which gave no right proof of h, still says that it keeps it:
// it may have let go of it, in order, since the comparison.
func (s *Set) claims(ctx context.Context, p peer.ID, h mh.Multihash, got wire.Proven) bool {
	if len(got.MAC) > 0 {
		return true // a false one
	}
	if states, err := s.peers.States(ctx, p, []mh.Multihash{h}); err == nil && len(states) == 1 && states[0] == wire.Held {
		return true
	}
	ls, err := s.peers.Leases(ctx, p, h)
	if err != nil {
		return false
	}
	_, ok := blocks.Governing(ls)
	return ok
}
