package wire

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	mh "github.com/multiformats/go-multihash"
)

// StateOf is what a peer with st and led has of h.
func StateOf(ctx context.Context, st blocks.Store, led blocks.Ledger, h mh.Multihash) (State, error) {
	here, err := st.Has(ctx, h)
	if err != nil || !here {
		return Absent, err
	}
	ls, err := led.Leases(ctx, h)
	if err != nil || len(blocks.Standing(ls, time.Now())) == 0 {
		return Here, err
	}
	return Held, nil
}

// Proof shows that whoever makes it has data: the nonce comes first, as the key
// of an HMAC, so that nothing can be computed before it is known.
func Proof(nonce, data []byte) []byte {
	m := hmac.New(sha256.New, nonce)
	m.Write(data)
	return m.Sum(nil)
}

// tell answers what is here, and proves it where that is asked.
func (x *exchange) tell(ctx context.Context, m *have) error {
	if len(m.prove) > 0 && len(m.nonce) != nonceSize {
		return malformed("nonce of %d bytes", len(m.nonce))
	}
	r := haveR{here: bitmap(len(m.keys)), held: bitmap(len(m.keys))}
	parts := x.parting(m)
	for i, h := range m.keys {
		s, err := StateOf(ctx, x.st, x.led, h)
		if err != nil {
			return err
		}
		if s >= Here {
			setBit(r.here, i)
		}
		if s == Held && !bit(parts, i) {
			setBit(r.held, i)
		}
	}
	for _, i := range m.prove {
		proof, err := x.prove(ctx, m.nonce, m.keys[i])
		if err != nil {
			return err
		}
		r.proofs = append(r.proofs, proof)
	}
	return x.l.send(&r)
}

// Parter is a [Keeper] that may be about to let go of what it holds.
type Parter interface {
	// Parts reports whether h may be let go now. Who asks for a proof of it then is told that
	// it is not held: it may be about to let go as well.
	Parts(h mh.Multihash) bool
}

// parting is which of the keys of m that are to be proved may be let go now. It is to be asked
// for before it is looked what is held: what goes in between is held by neither.
func (x *exchange) parting(m *have) []byte {
	parts := bitmap(len(m.keys))
	p, ok := x.keeper.(Parter)
	for _, i := range m.prove {
		if ok && p.Parts(m.keys[i]) {
			setBit(parts, int(i))
		}
	}
	return parts
}

// prove is the proof of h; what is not here or rotten has none.
func (x *exchange) prove(ctx context.Context, nonce []byte, h mh.Multihash) (proof []byte, err error) {
	size, err := x.st.Size(ctx, h)
	if blocks.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := x.pace.take(ctx, x.from, int64(size)); err != nil {
		return nil, err
	}
	if err := x.turns.take(ctx, x.from, blocks.MaxSize); err != nil {
		return nil, err
	}
	defer x.turns.done(x.from, blocks.MaxSize)
	err = x.st.View(ctx, h, func(b []byte) error { proof = Proof(nonce, b); return nil })
	if blocks.IsNotFound(err) || errors.Is(err, blocks.ErrMismatch) {
		return nil, nil
	}
	return proof, err
}

// show answers under which leases a block is held.
func (x *exchange) show(ctx context.Context, m *leases) error {
	ls, err := x.led.Leases(ctx, m.key)
	if err != nil {
		return err
	}
	ls = blocks.Standing(ls, time.Now())
	if l, ok := blocks.Governing(ls); ok && len(ls) > maxLeases { // with a lease of its own there may be one more
		ls = append([]blocks.Lease{l}, slices.DeleteFunc(ls, func(x blocks.Lease) bool { return x.ID() == l.ID() })...)
	}
	var r leasesR
	for _, l := range ls[:min(len(ls), maxLeases)] {
		r.records = append(r.records, l.Marshal())
	}
	return x.l.send(&r)
}
