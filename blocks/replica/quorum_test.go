package replica_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// Whatever the size of the network, and whichever of its peers are down, do not pass on or
// boast of what they did not do: when a put says that it is done, every block is on as many
// other disks as it says, and never does it count a copy that is not there.
func TestPutIsDoneWhenTheCopiesAreThere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rapid.IntRange(1, 6).Draw(rt, "r")
		n := rapid.IntRange(0, r+3).Draw(rt, "peers")
		many := rapid.IntRange(1, 30).Draw(rt, "blocks")
		cfg := replica.Config{PutIdle: 20 * time.Second, Linger: 2 * time.Second, Every: time.Minute, Fanout: rapid.IntRange(1, 3).Draw(rt, "fan-out")}
		wait := rapid.SampledFrom([]blocks.Wait{blocks.WaitQuorum, blocks.WaitFull}).Draw(rt, "wait")
		var ids []peer.ID
		for i := range n {
			ids = append(ids, peer.ID(fmt.Sprint("peer", i)))
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(ids...)
			for _, p := range ids {
				switch rapid.SampledFrom([]string{"good", "good", "keeps", "boasts", "down"}).Draw(rt, "kind") {
				case "keeps":
					w.keeps[p] = true
				case "boasts":
					w.boasts[p] = true
				case "down":
					w.take[p] = func(context.Context) error { return errors.New("down") }
				}
			}
			cold := rapid.Bool().Draw(rt, "cold")
			if cold {
				w.ready = make(chan struct{})
			}
			s, l, pin, bs := publisherWith(t, w, many, r, cfg)
			j := s.Queue(l, pin)
			if cold { // not before the peer knows its network
				time.Sleep(10 * time.Second)
				if w.sent() > 0 {
					rt.Fatal("blocks went out before the peer was ready")
				}
				close(w.ready)
			}
			p, err := j.Wait(t.Context(), wait, nil)
			var short *blocks.ShortError
			if err != nil && !errors.As(err, &short) {
				rt.Fatal(err)
			}
			if n == 0 && err == nil {
				rt.Fatal("done, with nobody there")
			}
			worst, said := n, 0
			for _, b := range bs {
				have := 0
				for _, q := range ids {
					if ok, _ := w.have[q].Has(t.Context(), b.Hash()); ok {
						have++
					}
				}
				worst = min(worst, have)
			}
			for said < len(p.Copies)-1 && p.Copies[said] == 0 {
				said++
			}
			if said > worst {
				rt.Fatalf("it says %v, and the worst block has %d copies", p.Copies, worst)
			}
			if want := wait.Want(r, n); err == nil && worst < want {
				rt.Fatalf("done with %d copies of the worst block, want %d", worst, want)
			}
		})
	})
}
