package blockstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	mh "github.com/multiformats/go-multihash"
)

// TestLedger is the contract of [blocks.Ledger] as a test: every ledger runs it.
// open gives an empty ledger; it sees to its closing with t.Cleanup.
func TestLedger(t *testing.T, open func(t *testing.T) blocks.Ledger) {
	t.Helper()
	for name, f := range map[string]func(*testing.T, blocks.Ledger){
		"AnEmptyOneHasNothing":            ledgerEmpty,
		"HoldingTwiceIsHoldingOnce":       ledgerTwice,
		"ABlockMayHaveManyLeases":         ledgerMany,
		"TheHigherSequenceStands":         ledgerSeq,
		"HeldAndUnderComeInKeyOrder":      ledgerOrder,
		"ReleaseEndsOneHolding":           ledgerRelease,
		"PinsAreWrittenOverAndForgotten":  ledgerPins,
		"ListsStopWhenCancelledOrBroken":  ledgerStop,
		"HoldersMayComeAllAtTheSameTime":  ledgerConcurrent,
		"ARenewalNeedNotNameTheBlocks":    ledgerRenew,
		"WhatALeaseSaysIsKeptToTheLetter": ledgerVerbatim,
		"ALeaseOutlivesItsHoldings":       ledgerLease,
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t)
			f(t, l)
			if got, want := l.Count(), len(list(t, l.Held(t.Context()))); got != int64(want) {
				t.Errorf("count: %d, %d are held", got, want)
			}
		})
	}
}

// Key is an Ed25519 key that is the same for the same seed.
func Key(seed uint64) crypto.PrivKey {
	key, _, err := crypto.GenerateEd25519Key(bytes.NewReader(Random(seed, 64)))
	return Must(key, err)
}

// Lease grants a lease of root by the owner of [Key](seed): sequence number seq,
// issued now, for 3 copies and a day.
func Lease(seed, seq uint64, root cid.Cid, now time.Time) blocks.Lease {
	now = now.Truncate(time.Second)
	return Must(blocks.Grant(Key(seed), blocks.Lease{
		Root: root, Seq: seq, Issued: now, Expires: now.Add(24 * time.Hour), Bytes: 1 << 20, R: 3,
	}))
}

var issued = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func lease(seed, seq uint64) blocks.Lease { return Lease(seed, seq, raw("root").Cid(), issued) }

func hold(t *testing.T, l blocks.Ledger, le blocks.Lease, hs ...mh.Multihash) {
	t.Helper()
	if err := l.Hold(t.Context(), le, hs...); err != nil {
		t.Fatalf("hold: %v", err)
	}
}

// list gives what seq yields.
func list[T any](t *testing.T, seq iter.Seq2[T, error]) (out []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		out = append(out, v)
	}
	return out
}

// leased fails unless the leases of h are want, in any order.
func leased(t *testing.T, l blocks.Ledger, h mh.Multihash, want ...blocks.Lease) {
	t.Helper()
	got, err := l.Leases(t.Context(), h)
	if err != nil {
		t.Fatalf("leases: %v", err)
	}
	if g, w := encoded(got), encoded(want); !slices.Equal(g, w) {
		t.Fatalf("leases: got %d, want these %d", len(g), len(w))
	}
}

func encoded(ls []blocks.Lease) (out []string) {
	for _, l := range ls {
		out = append(out, string(l.Marshal()))
	}
	slices.Sort(out)
	return out
}

func ledgerEmpty(t *testing.T, l blocks.Ledger) {
	leased(t, l, raw("a").Hash())
	if n := len(list(t, l.Held(t.Context()))); n != 0 {
		t.Errorf("got %d holdings, want none", n)
	}
	if n := len(list(t, l.Under(t.Context(), lease(1, 1).ID()))); n != 0 {
		t.Errorf("got %d blocks, want none", n)
	}
	if n := len(list(t, l.Pins(t.Context()))); n != 0 {
		t.Errorf("got %d pins, want none", n)
	}
	if err := l.Unpin(t.Context(), raw("a").Cid()); err != nil {
		t.Errorf("unpin of nothing: %v", err)
	}
}

func ledgerTwice(t *testing.T, l blocks.Ledger) {
	a, le := raw("a").Hash(), lease(1, 1)
	hold(t, l, le, a, a)
	hold(t, l, le, a)
	leased(t, l, a, le)
	leased(t, l, raw("b").Hash())
	if got := list(t, l.Under(t.Context(), le.ID())); len(got) != 1 || !bytes.Equal(got[0], a) {
		t.Fatalf("under: got %d blocks, want 1", len(got))
	}
}

func ledgerMany(t *testing.T, l blocks.Ledger) {
	a, b := raw("a").Hash(), raw("b").Hash()
	one, two := lease(1, 1), lease(2, 1)
	hold(t, l, one, a, b)
	hold(t, l, two, a)
	leased(t, l, a, one, two)
	leased(t, l, b, one)
	if n := len(list(t, l.Under(t.Context(), two.ID()))); n != 1 {
		t.Fatalf("under: got %d blocks, want 1", n)
	}
}

func ledgerSeq(t *testing.T, l blocks.Ledger) {
	a, b, c := raw("a").Hash(), raw("b").Hash(), raw("c").Hash()
	hold(t, l, lease(1, 5), a)
	hold(t, l, lease(1, 7), b)
	hold(t, l, lease(1, 6), c) // late: c is held, the lease is not replaced
	for _, h := range []mh.Multihash{a, b, c} {
		leased(t, l, h, lease(1, 7))
	}
}

func ledgerRenew(t *testing.T, l blocks.Ledger) {
	a := raw("a").Hash()
	hold(t, l, lease(1, 1), a)
	hold(t, l, lease(1, 2))
	leased(t, l, a, lease(1, 2))
}

func ledgerLease(t *testing.T, l blocks.Ledger) {
	a, le := raw("a").Hash(), lease(1, 5)
	if _, ok, err := l.Lease(t.Context(), le.ID()); ok || err != nil {
		t.Fatalf("a lease that nobody gave: %v, %v", ok, err)
	}
	hold(t, l, le, a)
	if err := l.Release(t.Context(), le.ID(), a); err != nil {
		t.Fatal(err)
	}
	hold(t, l, lease(1, 4))
	if got, ok, err := l.Lease(t.Context(), le.ID()); !ok || err != nil || got.Seq != 5 {
		t.Errorf("got %d, %v, %v; want 5", got.Seq, ok, err)
	}
}

func ledgerVerbatim(t *testing.T, l blocks.Ledger) {
	a, le := raw("a").Hash(), lease(1, 1)
	hold(t, l, le, a)
	got, err := l.Leases(t.Context(), a)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %d leases, %v; want 1", len(got), err)
	}
	if err := got[0].Valid(issued.Add(time.Hour)); err != nil {
		t.Fatalf("the signature did not survive: %v", err)
	}
}

func ledgerRelease(t *testing.T, l blocks.Ledger) {
	release := func(le blocks.Lease, hs ...mh.Multihash) {
		t.Helper()
		if err := l.Release(t.Context(), le.ID(), hs...); err != nil {
			t.Fatalf("release: %v", err)
		}
	}
	a, b, c := raw("a").Hash(), raw("b").Hash(), raw("c").Hash()
	one, two := lease(1, 5), lease(2, 1)
	hold(t, l, one, a, b)
	hold(t, l, two, a)
	release(one, a, c, a) // c was never held
	leased(t, l, a, two)
	leased(t, l, b, one)
	if got := list(t, l.Under(t.Context(), one.ID())); len(got) != 1 || !bytes.Equal(got[0], b) {
		t.Errorf("under: got %d blocks, want b alone", len(got))
	}
	release(two, a)
	if n := len(list(t, l.Held(t.Context()))); n != 1 {
		t.Errorf("got %d holdings, want that of b alone", n)
	}
	release(one, b)
	leased(t, l, b)
	hold(t, l, lease(1, 4), b) // the lease is remembered: an older one does not stand again
	leased(t, l, b, one)
	release(lease(3, 1), a) // a lease that nobody has
}

func ledgerOrder(t *testing.T, l blocks.Ledger) {
	want := make(map[string]int) // leases
	for i := range 30 {
		h := raw(fmt.Sprint(i)).Hash()
		hold(t, l, lease(1, 1), h)
		if want[string(h)] = 1; i%3 == 0 {
			hold(t, l, lease(2, 1), h)
			want[string(h)] = 2
		}
	}
	held := list(t, l.Held(t.Context()))
	if !slices.IsSortedFunc(held, func(a, b blocks.Holding) int { return bytes.Compare(a.Hash, b.Hash) }) {
		t.Error("held is out of order")
	}
	if len(held) != len(want) {
		t.Errorf("got %d holdings, want %d", len(held), len(want))
	}
	for _, h := range held {
		if got := len(h.Leases); got != want[string(h.Hash)] {
			t.Errorf("%x: got %d leases, want %d", h.Hash, got, want[string(h.Hash)])
		}
	}
	under := list(t, l.Under(t.Context(), lease(2, 1).ID()))
	if len(under) != 10 || !slices.IsSortedFunc(under, func(a, b mh.Multihash) int { return bytes.Compare(a, b) }) {
		t.Errorf("under: got %d, want 10 in order", len(under))
	}
}

func ledgerPins(t *testing.T, l blocks.Ledger) {
	for i := range 5 {
		for _, name := range []string{"old", "new"} {
			p := blocks.Pin{Root: raw(fmt.Sprint(i)).Cid(), Name: name, Size: 1 << 40, Blocks: 3, Time: issued, Lease: lease(1, 1).ID(), Pending: true}
			if err := l.Pin(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		if err := l.Unpin(t.Context(), raw("3").Cid()); err != nil {
			t.Fatal(err)
		}
	}
	got := list(t, l.Pins(t.Context()))
	if len(got) != 4 || !slices.IsSortedFunc(got, func(a, b blocks.Pin) int { return bytes.Compare(a.Root.Bytes(), b.Root.Bytes()) }) {
		t.Fatalf("got %d pins, want 4 in order of their roots", len(got))
	}
	for _, p := range got {
		want := blocks.Pin{Root: p.Root, Name: "new", Size: 1 << 40, Blocks: 3, Time: p.Time, Lease: lease(1, 1).ID(), Pending: true}
		if p != want || !p.Time.Equal(issued) {
			t.Errorf("got %+v, want %+v", p, want)
		}
		if one, ok, err := l.Pinned(t.Context(), p.Root); one != p || !ok || err != nil {
			t.Errorf("asked for by its root: %+v, %t, %v", one, ok, err)
		}
	}
	for _, text := range []string{"3", "never pinned"} {
		if p, ok, err := l.Pinned(t.Context(), raw(text).Cid()); ok || err != nil {
			t.Errorf("not pinned, but got %+v, %t, %v", p, ok, err)
		}
	}
}

func ledgerStop(t *testing.T, l blocks.Ledger) {
	for i := range 3 {
		hold(t, l, lease(1, 1), raw(fmt.Sprint(i)).Hash())
		if err := l.Pin(t.Context(), blocks.Pin{Root: raw(fmt.Sprint(i)).Cid()}); err != nil {
			t.Fatal(err)
		}
	}
	stops(t, l.Held)
	stops(t, l.Pins)
	stops(t, func(ctx context.Context) iter.Seq2[mh.Multihash, error] { return l.Under(ctx, lease(1, 1).ID()) })
}

func stops[T any](t *testing.T, open func(context.Context) iter.Seq2[T, error]) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range open(ctx) {
		break // no second call of yield: the runtime panics if there is one
	}
	cancel()
	var last error
	for _, err := range open(ctx) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", last)
	}
}

func ledgerConcurrent(t *testing.T, l blocks.Ledger) {
	const each = 8
	errs := make(chan error, each)
	for w := range each {
		go func() { errs <- l.Hold(t.Context(), lease(1, uint64(w)), raw(fmt.Sprint(w)).Hash()) }() // ends by itself; all are waited for below
	}
	for range each {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for w := range each {
		leased(t, l, raw(fmt.Sprint(w)).Hash(), lease(1, each-1))
	}
}
