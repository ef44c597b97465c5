package replica_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A put that is short is told of until it is done: how many blocks, and who failed it.
func TestJobsSayWhatIsShortAndWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "c")
		w.take["a"] = func(context.Context) error { return &wire.Refusal{Code: wire.Full, Reason: "full"} }
		w.ready = make(chan struct{}) // so the first round does not come before the test
		s, l, pin, _ := publisher(t, w, 5, 3)
		if all, err := s.Jobs(t.Context()); err != nil || len(all) != 1 || all[0].Active || all[0].Progress.Copies[0] != 5 {
			t.Fatalf("before: %+v, %v", all, err)
		}
		j := s.Queue(l, pin)
		close(w.ready)
		time.Sleep(time.Second)
		if all, _ := s.Jobs(t.Context()); len(all) != 1 || !all[0].Active || all[0].Progress.Copies[2] != 5 {
			t.Errorf("under way: %+v", all)
		}
		_, _ = j.Wait(t.Context(), blocks.WaitFull, nil)
		all, err := s.Jobs(t.Context())
		if err != nil || len(all) != 1 || all[0].Active || all[0].Progress.Safe != 0 || len(all[0].Failed) != 1 || all[0].Failed[0].Peer != "a" {
			t.Errorf("short: %+v, %v", all, err)
		}
		w.mu.Lock()
		w.take = map[peer.ID]func(context.Context) error{}
		w.mu.Unlock()
		time.Sleep(3 * time.Minute)
		if all, err := s.Jobs(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("done: %+v, %v", all, err)
		}
	})
}
