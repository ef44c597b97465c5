package disk

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// gate keeps pebble from compacting before its Open has answered: an Open that
// fails would close what a compaction is reading, and leave it at work in a
// directory that is then made anew.
type gate struct {
	pebble.CompactionScheduler

	mu sync.Mutex
	n  int                    // guarded by mu; what Register was given
	db pebble.DBForCompaction // guarded by mu
	up bool                   // guarded by mu
}

// newGate puts a gate before the scheduler of o. Behind it is pebble's own, the
// one without a goroutine: what it refuses it grants when a compaction has ended.
func newGate(o *pebble.Options) *gate {
	g := &gate{CompactionScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
	o.Experimental.CompactionScheduler = g
	return g
}

// open lets compactions through. One that was refused is begun: pebble waits to be told of
// it, and asks for no other until then.
func (g *gate) open() {
	g.mu.Lock()
	db := g.db
	if db != nil {
		g.CompactionScheduler.Register(g.n, db)
		g.up = true
	}
	g.mu.Unlock() // the database calls the gate with its own lock held
	if db == nil {
		return
	}
	if waits, _ := db.GetWaitingCompaction(); !waits {
		return
	}
	if ok, grant := g.CompactionScheduler.TrySchedule(); ok && !db.Schedule(grant) {
		grant.Done()
	}
}

func (g *gate) isUp() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.up
}

// Register and the others are pebble's: they wait for open.
func (g *gate) Register(n int, db pebble.DBForCompaction) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n, g.db = n, db
}

func (g *gate) Unregister() {
	if g.isUp() {
		g.CompactionScheduler.Unregister()
	}
}

func (g *gate) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !g.isUp() {
		return false, nil
	}
	return g.CompactionScheduler.TrySchedule()
}

func (g *gate) UpdateGetAllowedWithoutPermission() {
	if g.isUp() {
		g.CompactionScheduler.UpdateGetAllowedWithoutPermission()
	}
}
