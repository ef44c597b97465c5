package disk

import (
	"context"
	"sync"

	mh "github.com/multiformats/go-multihash"
)

// flights is who is writing what: so that a block that several put at once is
// written once, and that nothing is swept which a put relies on.
type flights struct {
	mu      sync.Mutex
	asked   map[string]int      // guarded by mu; calls under way that rely on a block, by multihash
	puts    map[string]*flight  // guarded by mu
	dels    map[string]*flight  // guarded by mu
	touched map[string]struct{} // guarded by mu; relied on since the sweep began; nil without one
}

// flight is one call that writes.
type flight struct{ done chan struct{} }

func newFlights() *flights {
	return &flights{asked: map[string]int{}, puts: map[string]*flight{}, dels: map[string]*flight{}}
}

// rely says that a call relies on hs until leave, and answers when no deletion of
// them that had begun before is under way any more. A sweep spares them.
func (f *flights) rely(ctx context.Context, hs []mh.Multihash) error {
	var dels []*flight
	f.mu.Lock()
	for _, h := range hs {
		f.asked[string(h)]++
		if f.touched != nil {
			f.touched[string(h)] = struct{}{}
		}
		if d := f.dels[string(h)]; d != nil {
			dels = append(dels, d)
		}
	}
	f.mu.Unlock()
	for _, d := range dels {
		if err := d.wait(ctx); err != nil {
			f.leave(hs)
			return err
		}
	}
	return nil
}

// leave ends what rely began.
func (f *flights) leave(hs []mh.Multihash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range hs {
		if f.asked[string(h)]--; f.asked[string(h)] == 0 {
			delete(f.asked, string(h))
		}
	}
}

// epoch begins a sweep: from now on what is relied on is remembered.
func (f *flights) epoch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.touched = make(map[string]struct{}, len(f.asked))
	for h := range f.asked {
		f.touched[h] = struct{}{}
	}
}

// endEpoch ends the sweep.
func (f *flights) endEpoch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.touched = nil
}

// reliedLocked reports whether h was relied on since the sweep began.
func (f *flights) reliedLocked(h string) bool {
	_, ok := f.touched[h]
	return ok
}

func (d *flight) wait(ctx context.Context) error {
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin enters those of hs that nobody else has in m, and answers which they
// are, and the flights of the others. spare, asked under the lock, says what to
// leave alone.
func (f *flights) begin(m map[string]*flight, hs []mh.Multihash, spare func(h string) bool) (mine []bool, own *flight, others []*flight) {
	own = &flight{done: make(chan struct{})}
	mine = make([]bool, len(hs))
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, h := range hs {
		switch d := m[string(h)]; {
		case spare != nil && spare(string(h)):
		case d == nil:
			m[string(h)] = own
			mine[i] = true
		case d != own:
			others = append(others, d)
		}
	}
	return mine, own, others
}

// end takes own out of m, and wakes who waits for it.
func (f *flights) end(m map[string]*flight, hs []mh.Multihash, own *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range hs {
		if m[string(h)] == own {
			delete(m, string(h))
		}
	}
	close(own.done)
}
