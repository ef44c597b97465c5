package dht_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// A peer that starts again is connected before it speaks all that a member does. That makes
// it no stranger at once: it keeps its seat, not alive, until the grace is over, and is a
// member again as soon as it speaks as one.
func TestAMemberThatSpeaksLessKeepsItsSeatForTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ringOf(t, 8, lively())
		id, h := w.hosts[3].ID(), key(t, 1)
		before, _, err := w.routers[0].Seats(t.Context(), h, 8)
		if err != nil || len(before) != 8 {
			t.Fatalf("seats %v, %v", before, err)
		}
		w.hosts[3].RemoveStreamHandler(member)
		until(t, 5*time.Second, "notice", func() bool { return !w.routers[0].IsMember(id) })
		for range 8 {
			ids, alive, err := w.routers[0].Seats(t.Context(), h, 8)
			if at := slices.Index(ids, id); err != nil || !slices.Equal(ids, before) || alive[at] {
				t.Fatalf("seats %v %v, %v; want %v with that of %s not alive", ids, alive, err, before, id)
			}
			if zone := w.routers[0].Zone(); !slices.Contains(zone, id) {
				t.Fatal("it is not in the zone")
			}
			time.Sleep(time.Second)
		}
		w.hosts[3].SetStreamHandler(member, func(s network.Stream) { _ = s.Reset() })
		until(t, 5*time.Second, "return", func() bool { return w.routers[0].IsMember(id) })
		w.hosts[3].RemoveStreamHandler(member)
		until(t, grace+20*time.Second, "departure", func() bool {
			ids, _, err := w.routers[0].Seats(t.Context(), h, 8)
			return err == nil && !slices.Contains(ids, id)
		})
	})
}
