package blockstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// TestStore is the contract of [blocks.Store] as a test: every store runs it.
// open gives an empty store; it sees to its closing with t.Cleanup.
func TestStore(t *testing.T, open func(t *testing.T) blocks.Store) {
	t.Helper()
	for name, f := range map[string]func(*testing.T, blocks.Store){
		"WhatIsNotThereIsNotFound":   storeNotFound,
		"PutThenGetGivesTheSame":     storePutGet,
		"ABatchMayRepeatItself":      storeDuplicates,
		"OneRecordWhateverTheCID":    storeOneRecord,
		"ViewLendsAndPassesErrorsOn": storeView,
		"DeleteTwiceIsNoError":       storeDelete,
		"AllYieldsEachOnceInOrder":   storeAll,
		"AllStopsWhenCancelled":      storeAllCancelled,
		"ManyUseItAtOnce":            storeConcurrent,
		"BehavesLikeAMap":            storeLikeMap,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

func raw(s string) blocks.Block { return blocks.New(cid.Raw, []byte(s)) }

func put(t *testing.T, s blocks.Store, bs ...blocks.Block) {
	t.Helper()
	if err := s.Put(t.Context(), bs...); err != nil {
		t.Fatalf("put: %v", err)
	}
}

// same fails unless s has exactly the bytes of b under c.
func same(t *testing.T, s blocks.Store, c cid.Cid, want []byte) {
	t.Helper()
	got, err := s.Get(t.Context(), c)
	if err != nil {
		t.Fatalf("get %s: %v", c, err)
	}
	if !got.Cid().Equals(c) || !bytes.Equal(got.RawData(), want) {
		t.Fatalf("get %s: got %s with %d bytes, want %d", c, got.Cid(), len(got.RawData()), len(want))
	}
	if ok, err := s.Has(t.Context(), c.Hash()); !ok || err != nil {
		t.Fatalf("has %s: got %v, %v; want true", c, ok, err)
	}
	if n, err := s.Size(t.Context(), c.Hash()); n != len(want) || err != nil {
		t.Fatalf("size %s: got %d, %v; want %d", c, n, err, len(want))
	}
}

// absent fails unless s answers of c that it is not there, in every way.
func absent(t *testing.T, s blocks.Store, c cid.Cid) {
	t.Helper()
	if _, err := s.Get(t.Context(), c); !blocks.IsNotFound(err) {
		t.Fatalf("get %s: got %v, want NotFound", c, err)
	}
	err := s.View(t.Context(), c.Hash(), func([]byte) error { t.Error("view lent what is not there"); return nil })
	if !blocks.IsNotFound(err) {
		t.Fatalf("view %s: got %v, want NotFound", c, err)
	}
	if _, err := s.Size(t.Context(), c.Hash()); !blocks.IsNotFound(err) {
		t.Fatalf("size %s: got %v, want NotFound", c, err)
	}
	if ok, err := s.Has(t.Context(), c.Hash()); ok || err != nil {
		t.Fatalf("has %s: got %v, %v; want false", c, ok, err)
	}
}

func keys(ctx context.Context, t *testing.T, s blocks.Store) []string {
	t.Helper()
	var out []string
	for h, err := range s.All(ctx) {
		if err != nil {
			t.Fatalf("all: %v", err)
		}
		out = append(out, string(h))
	}
	return out
}

func storeNotFound(t *testing.T, s blocks.Store) {
	absent(t, s, raw("nothing").Cid())
	put(t, s, raw("something"))
	absent(t, s, raw("nothing").Cid())
}

func storePutGet(t *testing.T, s blocks.Store) {
	put(t, s)
	for i, n := range []int{0, 1, 4095, 4096, 4097, blocks.MaxSize} {
		b := blocks.New(cid.Raw, Random(uint64(i), n))
		for range 2 { // again costs nothing
			put(t, s, b)
			same(t, s, b.Cid(), b.RawData())
		}
	}
}

func storeDuplicates(t *testing.T, s blocks.Store) {
	a, b := raw("a"), raw("b")
	put(t, s, a, b, a, a, b)
	same(t, s, a.Cid(), a.RawData())
	same(t, s, b.Cid(), b.RawData())
	if got := keys(t.Context(), t, s); len(got) != 2 {
		t.Fatalf("got %d records, want 2", len(got))
	}
}

func storeOneRecord(t *testing.T, s blocks.Store) {
	pb := blocks.New(cid.DagProtobuf, []byte{0x0a, 0x02, 0x08, 0x01}) // an empty UnixFS directory
	v0, v1raw := cid.NewCidV0(pb.Hash()), blocks.Key(pb.Hash())
	put(t, s, Must(blocks.Check(v0, pb.RawData())), pb, Must(blocks.Check(v1raw, pb.RawData())))
	for _, c := range []cid.Cid{v0, v1raw, pb.Cid()} {
		same(t, s, c, pb.RawData())
	}
	if got := keys(t.Context(), t, s); len(got) != 1 {
		t.Fatalf("got %d records, want 1", len(got))
	}
	if err := s.Delete(t.Context(), pb.Hash()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []cid.Cid{v0, v1raw, pb.Cid()} {
		absent(t, s, c)
	}
}

// Must gives v, or panics: for blocks and leases made of constants.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func storeView(t *testing.T, s blocks.Store) {
	b := raw("lent")
	put(t, s, b)
	mine := errors.New("mine")
	calls := 0
	err := s.View(t.Context(), b.Hash(), func(data []byte) error {
		if calls++; !bytes.Equal(data, b.RawData()) {
			t.Errorf("lent %q, want %q", data, b.RawData())
		}
		return mine
	})
	if !errors.Is(err, mine) || calls != 1 {
		t.Fatalf("got %v after %d calls, want the caller's own error after 1", err, calls)
	}
}

func storeDelete(t *testing.T, s blocks.Store) {
	a, b := raw("a"), raw("b")
	put(t, s, a, b)
	for range 2 {
		if err := s.Delete(t.Context(), a.Hash(), raw("never here").Hash(), a.Hash()); err != nil {
			t.Fatalf("delete: %v", err)
		}
		absent(t, s, a.Cid())
		same(t, s, b.Cid(), b.RawData())
	}
	put(t, s, a) // and back
	same(t, s, a.Cid(), a.RawData())
}

func storeAll(t *testing.T, s blocks.Store) {
	var want []string
	for i := range 50 {
		b := raw(fmt.Sprint(i))
		put(t, s, b)
		want = append(want, string(b.Hash()))
	}
	slices.Sort(want)
	if got := keys(t.Context(), t, s); !slices.Equal(got, want) {
		t.Fatalf("got %d keys, want these %d in byte order", len(got), len(want))
	}
	for range s.All(t.Context()) {
		break // no second call of yield: the runtime panics if there is one
	}
}

func storeAllCancelled(t *testing.T, s blocks.Store) {
	put(t, s, raw("a"), raw("b"), raw("c"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	n := 0
	for h, err := range s.All(ctx) {
		if last = err; err != nil && h != nil {
			t.Errorf("got key %x with error %v", h, err)
		}
		n++
		cancel()
	}
	if n != 2 || !errors.Is(last, context.Canceled) {
		t.Fatalf("got %d turns, the last with %v; want 2, the last with context.Canceled", n, last)
	}
}

func storeConcurrent(t *testing.T, s blocks.Store) {
	var all []blocks.Block
	for i := range 24 {
		all = append(all, blocks.New(cid.Raw, Random(uint64(i), 1000+i)))
	}
	errs := make(chan error, 8) // one for each
	var wg sync.WaitGroup
	for w := range cap(errs) {
		wg.Go(func() { errs <- hammer(t.Context(), s, all, w) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if got := keys(t.Context(), t, s); len(got) != len(all) {
		t.Fatalf("got %d records, want %d", len(got), len(all))
	}
}

// hammer puts all, forgets some that everybody puts again, and reads meanwhile.
func hammer(ctx context.Context, s blocks.Store, all []blocks.Block, w int) error {
	for i := range all {
		b := all[(i+w)%len(all)]
		if err := s.Put(ctx, b, all[i]); err != nil {
			return err
		}
		err := s.View(ctx, b.Hash(), func(data []byte) error {
			if !bytes.Equal(data, b.RawData()) {
				return fmt.Errorf("lent other bytes for %s", b.Cid())
			}
			return nil
		})
		if err != nil && !blocks.IsNotFound(err) {
			return err
		}
		if i%5 == 0 {
			if err := s.Delete(ctx, b.Hash()); err != nil {
				return err
			}
		}
		for _, err := range s.All(ctx) {
			if err != nil {
				return err
			}
		}
	}
	return s.Put(ctx, all...)
}
