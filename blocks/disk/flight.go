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
	puts    map[string]*flight  // guarded by mu; by multihash
	dels    map[string]*flight  // guarded by mu
	touched map[string]struct{} // guarded by mu; asked for since the sweep began; nil without one
}

// flight is one call that writes.
type flight struct {
	done chan struct{}
	err  error // good when done is closed
}

func newFlights() *flights {
	return &flights{puts: map[string]*flight{}, dels: map[string]*flight{}}
}

// touch says that hs are relied on from now on, and answers when no deletion of
// them is under way any more.
func (f *flights) touch(ctx context.Context, hs []mh.Multihash) error {
	for _, h := range hs {
		for {
			f.mu.Lock()
			if f.touched != nil {
				f.touched[string(h)] = struct{}{}
			}
			d := f.dels[string(h)]
			f.mu.Unlock()
			if d == nil {
				break
			}
			if err := d.wait(ctx); err != nil {
				return err
			}
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
// are, and the flights of the others. spare says what to leave alone.
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
func (f *flights) end(m map[string]*flight, hs []mh.Multihash, own *flight, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range hs {
		if m[string(h)] == own {
			delete(m, string(h))
		}
	}
	own.err = err
	close(own.done)
}
