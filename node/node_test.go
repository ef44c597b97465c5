package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/go-cid"
)

// The promise: what was put is still there when the one who put it is not, and when
// half the network has left, one by one, holders of the root first.
//
//	p1 puts, dies · then a holder, and another … · p? never held it, and reads it
func TestPutOutlivesItsHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, want, err := outlive(t, nodetest.Config())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
	})
}

// Its control: without repair the same file is gone.
func TestWithoutRepairThePutDiesWithItsHolders(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := nodetest.Config()
		cfg.Replica.Repair = false
		if _, _, err := outlive(t, cfg); !blocks.IsNotFound(err) {
			t.Fatalf("err = %v, want not found", err)
		}
	})
}

// outlive puts a file, kills the putter and then half the network, and reads the
// file through a peer that never held any of it.
func outlive(t *testing.T, cfg node.Config) (got, want []byte, err error) {
	t.Helper()
	ctx := t.Context()
	w := nodetest.New(t, 16, cfg)
	want = blockstest.Random(1, 3<<20)
	rc, err := w.Nodes[1].Put(ctx, bytes.NewReader(want), blocks.PutOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("put %s: %d blocks, least %d of %d copies", rc.Root, rc.Blocks, rc.Least, rc.Target)
	w.Kill(1)
	for killed := 1; killed < 8; killed++ {
		victims := w.Holders(rc.Root)
		if len(victims) == 0 {
			break
		}
		w.Kill(victims[0])
		time.Sleep(time.Minute)
	}
	alive := w.Alive()
	t.Logf("%d of %d peers live, %d hold the root", len(alive), len(w.Nodes), len(w.Holders(rc.Root)))
	reader := slices.MinFunc(alive, func(a, b int) int { return w.Blocks(a) - w.Blocks(b) })
	f, err := w.Nodes[reader].Get(ctx, rc.Root.String())
	if err != nil {
		return nil, want, err
	}
	defer f.Close()
	got, err = io.ReadAll(f)
	return got, want, err
}

// A put with no other peer keeps the file, says so, and finishes when peers come.
func TestPutAloneIsKeptAndQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 1, nodetest.Config())
		rc, err := w.Nodes[0].Put(t.Context(), bytes.NewReader([]byte("hello")), blocks.PutOptions{}, nil)
		var short *blocks.ShortError
		if !errors.As(err, &short) || short.Members != 0 {
			t.Fatalf("err = %v, want a ShortError without members", err)
		}
		if _, err := w.Nodes[0].Get(t.Context(), rc.Root.String()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Nodes[0].Put(t.Context(), bytes.NewReader([]byte("hello")), blocks.PutOptions{Wait: blocks.WaitLocal}, nil); err != nil {
			t.Fatalf("wait local: %v", err)
		}
	})
}

// What was merely read is nobody's to repair.
func TestWhatWasReadIsNotRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w := nodetest.New(t, 12, nodetest.Config())
		rc, err := w.Nodes[0].Put(ctx, bytes.NewReader([]byte("read me")), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < 12; i++ { // now everybody has it
			f, err := w.Nodes[i].Get(ctx, rc.Root.String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, f)
			_ = f.Close()
		}
		var readers []int
		for i := 1; i < 12; i++ {
			if ls, _ := w.Mem[i].Leases(ctx, rc.Root.Hash()); len(ls) == 0 {
				readers = append(readers, i)
			}
		}
		for i := range 12 { // all that held it under the lease go, the author too
			if !slices.Contains(readers, i) {
				w.Kill(i)
			}
		}
		time.Sleep(5 * time.Minute)
		for _, i := range readers {
			if ls, _ := w.Mem[i].Leases(ctx, rc.Root.Hash()); len(ls) != 0 {
				t.Errorf("peer %d holds what nobody gave it", i)
			}
			if n := w.Nodes[i].Status().Repaired; n != 0 {
				t.Errorf("peer %d made %d copies of what it had only read", i, n)
			}
		}
	})
}

// Health counts what holders have, and sees a deleted leaf.
func TestHealthCountsTheStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		cfg := nodetest.Config()
		cfg.Replica.Repair = false
		w := nodetest.New(t, 10, cfg)
		rc, err := w.Nodes[0].Put(ctx, bytes.NewReader(blockstest.Random(2, 3<<20)), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
		if err != nil {
			t.Fatal(err)
		}
		h, err := w.Nodes[9].Health(ctx, rc.Root.String(), true)
		if err != nil {
			t.Fatal(err)
		}
		if h.Blocks != 4 || h.Target != 5 || h.Min != 5 || !h.Good() || !h.Leased {
			t.Fatalf("health = %+v", h)
		}
		leaf := h.Detail[1].CID
		if leaf == rc.Root {
			leaf = h.Detail[0].CID
		}
		for i, host := range w.Hosts { // one holder loses a leaf
			if host.ID() == h.Detail[1].Holders[0] {
				if err := w.Mem[i].Delete(ctx, h.Detail[1].CID.Hash()); err != nil {
					t.Fatal(err)
				}
			}
		}
		h, err = w.Nodes[0].Health(ctx, rc.Root.String(), true)
		if err != nil {
			t.Fatal(err)
		}
		if h.Min != 4 || h.AtRisk != 1 || h.Good() {
			t.Fatalf("after a leaf was lost (%s): %+v", leaf, h)
		}
	})
}

// A CID nobody has is an answer, and says how many were asked.
func TestNobodyHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 8, nodetest.Config())
		c := blocks.New(cid.Raw, []byte("never put")).Cid()
		t0 := time.Now()
		_, err := w.Nodes[3].Get(context.Background(), c.String())
		var miss *blocks.MissError
		if !errors.As(err, &miss) || miss.Asked != 7 {
			t.Fatalf("err = %v, want a miss after asking 7", err)
		}
		if d := time.Since(t0); d > 10*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// A put that fails leaves nothing behind, and takes nothing that was there.
func TestFailedPutLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w := nodetest.New(t, 1, nodetest.Config())
		before := blockstest.Random(3, 1<<20)
		if _, err := w.Nodes[0].Put(ctx, bytes.NewReader(before), blocks.PutOptions{Wait: blocks.WaitLocal}, nil); err != nil {
			t.Fatal(err)
		}
		n, broken := w.Blocks(0), errors.New("cable cut")
		r := io.MultiReader(bytes.NewReader(before), bytes.NewReader(blockstest.Random(4, 9<<20)), &failing{broken})
		if _, err := w.Nodes[0].Put(ctx, r, blocks.PutOptions{}, nil); !errors.Is(err, broken) {
			t.Fatalf("err = %v, want %v", err, broken)
		}
		if got := w.Blocks(0); got != n {
			t.Errorf("%d blocks, want the %d of before", got, n)
		}
	})
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// A put that is given up takes nothing from one of the same bytes that was kept
// meanwhile, whichever of the two began first.
func TestFailedPutTakesNothingFromAKeptOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w := nodetest.New(t, 1, nodetest.Config())
		data, n := blockstest.Random(6, 9<<20), w.Nodes[0]
		gate, end := make(chan struct{}), make(chan error)
		go func() { // writes all of it, and fails at its end
			r := io.MultiReader(bytes.NewReader(data), &waiting{gate}, &failing{errors.New("cable cut")})
			_, err := n.Put(ctx, r, blocks.PutOptions{NoPlace: true}, nil)
			end <- err
		}()
		synctest.Wait()
		rc, err := n.Put(ctx, bytes.NewReader(data), blocks.PutOptions{NoPlace: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		close(gate)
		if err := <-end; err == nil {
			t.Fatal("the cut put was kept")
		}
		f, err := n.Get(ctx, rc.Root.String())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, %v: the kept put lost blocks", len(got), err)
		}
	})
}

type waiting struct{ c chan struct{} }

func (w *waiting) Read([]byte) (int, error) { <-w.c; return 0, io.EOF }
