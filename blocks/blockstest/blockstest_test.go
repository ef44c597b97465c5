package blockstest_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

func TestMemIsAStore(t *testing.T) {
	blockstest.TestStore(t, func(*testing.T) blocks.Store { return new(blockstest.Mem) })
}

func TestMemIsALedger(t *testing.T) {
	blockstest.TestLedger(t, func(*testing.T) blocks.Ledger { return new(blockstest.Mem) })
}

func TestFaultyWithoutFaultsIsAStore(t *testing.T) {
	blockstest.TestStore(t, func(*testing.T) blocks.Store { return &blockstest.Faulty{Store: new(blockstest.Mem)} })
}

func TestFaultyFailsWhatItIsToldTo(t *testing.T) {
	a, b := blocks.New(cid.Raw, []byte("a")), blocks.New(cid.Raw, []byte("b"))
	mine := errors.New("mine")
	var ops string
	f := &blockstest.Faulty{Store: new(blockstest.Mem), Fail: func(op string, h mh.Multihash) error {
		if bytes.Equal(h, b.Hash()) && op == ops {
			return mine
		}
		return nil
	}}
	if err := f.Put(t.Context(), a, b); err != nil {
		t.Fatal(err)
	}
	use := func([]byte) error { return nil }
	for op, call := range map[string]func(h blocks.Block) error{
		"get":    func(x blocks.Block) error { _, err := f.Get(t.Context(), x.Cid()); return err },
		"view":   func(x blocks.Block) error { return f.View(t.Context(), x.Hash(), use) },
		"has":    func(x blocks.Block) error { _, err := f.Has(t.Context(), x.Hash()); return err },
		"size":   func(x blocks.Block) error { _, err := f.Size(t.Context(), x.Hash()); return err },
		"put":    func(x blocks.Block) error { return f.Put(t.Context(), x) },
		"delete": func(x blocks.Block) error { return f.Delete(t.Context(), x.Hash()) },
	} {
		ops = op
		if err := call(b); !errors.Is(err, mine) {
			t.Errorf("%s of b: got %v, want the fault", op, err)
		}
		if err := call(a); err != nil {
			t.Errorf("%s of a: %v", op, err)
		}
		_ = f.Store.Put(t.Context(), a)
	}
}

func TestFaultyFlipsABit(t *testing.T) {
	a := blocks.New(cid.Raw, []byte("a"))
	f := &blockstest.Faulty{Store: new(blockstest.Mem), Fail: func(op string, _ mh.Multihash) error {
		if op == "get" || op == "view" {
			return blockstest.ErrFlip
		}
		return nil
	}}
	if err := f.Put(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	got, err := f.Get(t.Context(), a.Cid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blocks.Check(a.Cid(), got.RawData()); !errors.Is(err, blocks.ErrMismatch) {
		t.Fatalf("got %q, want wrong bytes", got.RawData())
	}
}

func TestMemIsAStoreOfRecords(t *testing.T) { blockstest.TestRecords(t, new(blockstest.Mem)) }
