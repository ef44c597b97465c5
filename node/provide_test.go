package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/dht"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// far gives a CID of make's that its author is far from, so that nobody asks it
// who merely asks the closest members.
func far(t *testing.T, w *nodetest.Net, author int, make func(seed uint64) cid.Cid) cid.Cid {
	t.Helper()
	for seed := range uint64(50) {
		c := make(seed)
		key, closer := keyspace.OfHash(c.Hash()), 0
		for _, h := range w.Hosts {
			if keyspace.Closer(key, keyspace.OfPeer(h.ID()), keyspace.OfPeer(w.Hosts[author].ID())) < 0 {
				closer++
			}
		}
		if closer >= 8 {
			return c
		}
	}
	t.Fatal("the author is close to everything")
	return cid.Undef
}

// What nobody was asked to hold is found as long as its author lives: the root by
// its record, the leaves because who had the root has them. The control is a
// block at the same author without a record.
func TestWhatNobodyHoldsIsFoundAtItsAuthor(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	synctest.Test(t, func(t *testing.T) {
		const author, reader = 2, 9
		ctx, cfg := t.Context(), nodetest.Config()
		cfg.Replica.R = 1 // so that a reader asks the 4 closest of 16, and not all
		w := nodetest.New(t, 16, cfg)
		put := func(seed uint64) cid.Cid {
			began := time.Now()
			rc, err := w.Nodes[author].Put(ctx, bytes.NewReader(blockstest.Random(seed, 3<<20)), blocks.PutOptions{NoPlace: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("the put took %s of virtual time: it waited for its record", took)
			}
			return rc.Root
		}
		var want []byte
		said := far(t, w, author, func(seed uint64) cid.Cid { want = blockstest.Random(seed, 3<<20); return put(seed) })
		lost := far(t, w, author, func(seed uint64) cid.Cid { return put(100 + seed) })
		unsaid := far(t, w, author, func(seed uint64) cid.Cid {
			b := blocks.New(cid.Raw, blockstest.Random(seed, 1000))
			if err := w.Mem[author].Put(ctx, b); err != nil {
				t.Fatal(err)
			}
			return b.Cid()
		})
		time.Sleep(10 * time.Second) // the records are left
		if hs := w.Holders(said); len(hs) != 1 || hs[0] != author {
			t.Fatalf("%v have the root, want its author alone", hs)
		}
		f, err := w.Nodes[reader].Get(ctx, said.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close() // cut short with the root alone; the next one goes on from there
		if f, err = w.Nodes[reader].Get(ctx, said.String()); err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := w.Nodes[reader].Get(ctx, unsaid.String()); !blocks.IsNotFound(err) {
			t.Errorf("without a record: %v, want not found", err)
		}
		w.Kill(author)
		began := time.Now()
		if _, err := w.Nodes[reader].Get(ctx, lost.String()); !blocks.IsNotFound(err) || time.Since(began) > 30*time.Second {
			t.Errorf("the author is gone: %v after %s, want not found", err, time.Since(began))
		}
	})
}

func root(i int) cid.Cid { return blocks.New(cid.Raw, fmt.Append(nil, i)).Cid() }

func closed() <-chan struct{} { c := make(chan struct{}); close(c); return c }

// left notes when each record was left.
type left struct {
	mu    sync.Mutex
	times map[string][]time.Time
}

func (l *left) note(h mh.Multihash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.times == nil {
		l.times = map[string][]time.Time{}
	}
	l.times[string(h)] = append(l.times[string(h)], time.Now())
}

// A pinned root's record never expires; one that is unpinned, or was never
// pinned, is not renewed.
func TestRecordsOfPinsAreRenewedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l left
		mem := new(blockstest.Mem)
		for _, i := range []int{1, 2} {
			if err := mem.Pin(t.Context(), blocks.Pin{Root: root(i)}); err != nil {
				t.Fatal(err)
			}
		}
		add, run := node.Records(func(_ context.Context, h mh.Multihash) error { l.note(h); return nil }, mem.Pins, closed())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- run(ctx) }()
		add(root(3))
		began := time.Now()
		time.Sleep(time.Hour)
		if err := mem.Unpin(ctx, root(2)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * dht.RecordLife)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		last := began
		for _, at := range append(l.times[string(root(1).Hash())], began.Add(time.Hour+10*dht.RecordLife)) {
			if gap := at.Sub(last); gap > dht.RecordLife/2 {
				t.Errorf("no record for %s, it lives %s", gap, dht.RecordLife)
			}
			last = at
		}
		for _, i := range []int{2, 3} {
			if n := len(l.times[string(root(i).Hash())]); n != 1 {
				t.Errorf("root %d: left %d times, want once", i, n)
			}
		}
	})
}

// Nobody waits for the queue: not when it is full, nor when the network hangs.
func TestAFullQueueOfRecordsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ mh.Multihash) error { <-ctx.Done(); return ctx.Err() }
		add, run := node.Records(hang, new(blockstest.Mem).Pins, closed())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- run(ctx) }()
		began := time.Now()
		for i := range 5000 {
			add(root(i))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("adding took %s", took)
		}
		cancel()
		if err := <-done; err != nil || time.Since(began) != 0 {
			t.Errorf("the end took %s: %v", time.Since(began), err)
		}
	})
}

func TestARecordThatCouldNotBeLeftIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l left
		alone := time.Now().Add(10 * time.Minute)
		provide := func(_ context.Context, h mh.Multihash) error {
			if time.Now().Before(alone) {
				return dht.ErrAlone
			}
			l.note(h)
			return nil
		}
		none := func(context.Context) iter.Seq2[blocks.Pin, error] {
			return func(yield func(blocks.Pin, error) bool) { yield(blocks.Pin{}, errors.New("disk trouble")) }
		}
		add, run := node.Records(provide, none, closed())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- run(ctx) }()
		add(root(1))
		time.Sleep(time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := l.times[string(root(1).Hash())]; len(got) != 1 || got[0].Sub(alone) > time.Minute {
			t.Errorf("left at %v, want once and within a minute of %v", got, alone)
		}
	})
}
