package disk

import (
	"context"
	"sync"

	mh "github.com/multiformats/go-multihash"
)

// flights is who is writing what: so that a block that several put at once is
// written once, and that no put relies on a block while it is being deleted.
type flights struct {
	mu   sync.Mutex
	puts map[string]*flight // guarded by mu; by multihash
	dels map[string]*flight // guarded by mu
}

// flight is one call that writes.
type flight struct{ done chan struct{} }

func newFlights() *flights {
	return &flights{puts: map[string]*flight{}, dels: map[string]*flight{}}
}

// settle answers when no deletion of hs that had begun before is under way any more.
func (f *flights) settle(ctx context.Context, hs []mh.Multihash) error {
	var dels []*flight
	f.mu.Lock()
	for _, h := range hs {
		if d := f.dels[string(h)]; d != nil {
			dels = append(dels, d)
		}
	}
	f.mu.Unlock()
	for _, d := range dels {
		if err := d.wait(ctx); err != nil {
			return err
		}
	}
	return nil
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
// are, and the flights of the others.
func (f *flights) begin(m map[string]*flight, hs []mh.Multihash) (mine []bool, own *flight, others []*flight) {
	own = &flight{done: make(chan struct{})}
	mine = make([]bool, len(hs))
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, h := range hs {
		switch d := m[string(h)]; {
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
