package wire

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// A peer with eight streams of large blocks gets no more than one with four of small
// ones: they take turns by bytes.
func TestPeersTakeTurnsByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTurns(1 << 20)
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		disk := make(chan struct{}, 1) // one at a time, a second for a MiB
		got := map[peer.ID]int64{}
		var wg sync.WaitGroup
		for p, s := range map[peer.ID]struct {
			streams int
			n       int64
		}{"crowd": {8, 1 << 20}, "guest": {4, 256 << 10}} {
			for range s.streams {
				wg.Go(func() {
					for tr.take(ctx, p, s.n) == nil {
						disk <- struct{}{}
						time.Sleep(time.Duration(s.n) * time.Second >> 20)
						<-disk
						tr.done(p, s.n)
						mu.Lock()
						got[p] += s.n
						mu.Unlock()
					}
				})
			}
		}
		time.Sleep(200 * time.Second)
		cancel()
		wg.Wait()
		if a, b := got["crowd"]>>20, got["guest"]>>20; b < 70 || a < 70 {
			t.Errorf("the crowd got %d MiB, the guest %d", a, b)
		}
		if tr.hand != 0 || len(tr.line) != 0 || len(tr.wait) != 0 {
			t.Errorf("left: %+v", tr)
		}
	})
}

// Eight peers that never finish hold no more than their parts: the ninth is served.
func TestTheSlowLeaveRoom(t *testing.T) {
	tr := newTurns(64 << 20)
	for _, p := range []peer.ID{"a", "b", "c"} {
		for range 16 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_ = tr.take(ctx, p, 2<<20)
			cancel()
		}
	}
	if tr.hand != 48<<20 {
		t.Errorf("%d bytes in hand, want a quarter for each of three", tr.hand)
	}
	if err := tr.take(t.Context(), "d", 2<<20); err != nil {
		t.Error(err)
	}
}

// Who waits for room is served in order, and who gives up leaves nothing behind.
func TestBudgetIsGivenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(10)
		if n, err := b.take(t.Context(), 2, 16); n != 5 || err != nil {
			t.Fatalf("half of ten is %d, %v", n, err)
		}
		got := make(chan int64, 2)
		go func() { n, _ := b.take(t.Context(), 8, 8); got <- n }()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.take(short, 1, 1); !errors.Is(err, context.DeadlineExceeded) || b.try(1) {
			t.Errorf("served before its turn: %v", err)
		}
		b.give(5)
		if n := <-got; n != 8 || b.free != 2 || len(b.queue) != 0 {
			t.Errorf("got %d, %d free, %d wait", n, b.free, len(b.queue))
		}
	})
}
