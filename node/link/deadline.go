package link

import (
	"sync"
	"time"
)

// deadline is one that may be set while somebody waits for it. Setting it costs no
// timer, as a multiplexer sets one before every write.
type deadline struct {
	mu      sync.Mutex
	at      time.Time     // guarded by mu; zero is none
	changed chan struct{} // guarded by mu: closed at the next set; nil while nobody waits
}

func (d *deadline) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = at
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// watch gives the deadline, and what is closed when there is another.
func (d *deadline) watch() (at time.Time, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return d.at, d.changed
}
