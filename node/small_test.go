package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node/nodetest"
)

// Invariant 18: however few peers there are, down to one, what is put is on as many others as
// there are, up to r, and the put says how many; it is read at each of them. When one of them
// dies and another joins, that is so again, and health says so too.
func TestSmallNetworks(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	const r = 5
	for _, n := range []int{1, 2, 3, r - 1, r, r + 1} {
		t.Run(fmt.Sprint(n, " peers"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { smallNetwork(t, n, r) })
		})
	}
}

func smallNetwork(t *testing.T, n, r int) {
	ctx, author := t.Context(), 0
	w := nodetest.Growing(t, n, 1, nodetest.Config())
	data := blockstest.Random(uint64(n), 3<<20)
	rc, err := w.Nodes[author].Put(ctx, bytes.NewReader(data), blocks.PutOptions{Wait: blocks.WaitFull, Replicas: r}, nil)
	var short *blocks.ShortError
	if alone := errors.As(err, &short) && short.Members == 0; alone != (n == 1) || err != nil && !alone {
		t.Fatalf("put: %v", err)
	}
	leased := func() (copies int) { // of the root, by peers that live and are not its author
		for _, i := range w.Holders(rc.Root) {
			if ls, _ := w.Mem[i].Leases(ctx, rc.Root.Hash()); i != author && len(ls) > 0 {
				copies++
			}
		}
		return copies
	}
	whole := func(when string, want int) {
		t.Helper()
		if got := leased(); got != want {
			t.Errorf("%s: %d copies elsewhere, want %d", when, got, want)
		}
		for _, i := range w.Alive() {
			f, err := w.Nodes[i].Get(ctx, rc.Root.String())
			if err != nil {
				t.Fatalf("%s: get at %d: %v", when, i, err)
			}
			if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: get at %d: %d bytes, %v", when, i, len(got), err)
			}
			_ = f.Close()
		}
	}
	if n > 1 && rc.Least != min(r, n-1) {
		t.Errorf("the put says %d copies, want %d", rc.Least, min(r, n-1))
	}
	whole("put", min(r, n-1))
	if n > 2 { // the author of two cannot be spared a copy by the other's death
		w.Kill(n - 1)
		time.Sleep(3 * time.Minute)
		whole("one died", min(r, n-2))
	}
	w.Join()
	time.Sleep(3 * time.Minute)
	others := len(w.Alive()) - 1
	whole("one joined", min(r, others))
	for _, i := range w.Alive() {
		h, err := w.Nodes[i].Health(ctx, rc.Root.String(), false)
		if err != nil || h.Min != min(r, others) || !h.Good() {
			t.Errorf("health at %d: %+v, %v; want %d copies", i, h, err, min(r, others))
		}
	}
}
