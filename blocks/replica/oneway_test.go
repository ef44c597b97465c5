package replica_test

import (
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica/replicatest"
)

// A member is reached neither by the publisher nor by two thirds of the others, and nobody
// takes it for dead. Where the closest holder of a block is one of those, the next in rank
// bring it what the closest cannot, long before every block is looked at again. Of the 83
// blocks or so that it is to have, in 16 nobody among the four others reaches it; if the
// closest alone sees to what a put has left open, it lacks some 70.
func TestWhatTheClosestHolderCannotReachTheNextOneFills(t *testing.T) {
	const n, unreached, publisher = 60, 0, 60
	inWorld(t, replicatest.Config{N: n, Seed: 3}, func(t *testing.T, w *replicatest.World) {
		w.Blind(func(from, to int) bool {
			return to == unreached && (from == publisher || from%3 != 2)
		})
		put(t, w, 1000, blocks.WaitQuorum, time.Hour)
		w.Run(30 * time.Minute)
		if short := w.Short(); short > 25 {
			t.Errorf("%d blocks lack a copy", short)
		}
	})
}

// A publisher dies the moment every block has three copies. The others are made as soon as
// it is certain that it brings no more, and not only in the next regular round, which is
// five to fifteen minutes after.
func TestWhatAPutLeftOpenIsSeenToBeforeTheNextRound(t *testing.T) {
	inWorld(t, replicatest.Config{N: 60, Seed: 3}, func(t *testing.T, w *replicatest.World) {
		put(t, w, 200, blocks.WaitQuorum, time.Hour)
		if w.Short() == 0 {
			t.Fatal("the put has left nothing open")
		}
		w.Run(4 * time.Minute)
		if short := w.Short(); short > 0 {
			t.Errorf("%d blocks lack copies after 4 minutes: %v", short, w.Copies())
		}
	})
}
