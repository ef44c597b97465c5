// Package link is the access line of a peer of a testnet. It can be made slow and
// late while the peer runs, counts what passes, and measures what one bare stream
// to another peer carries.
//
//	Write → rate, up → queue: latency ± jitter → socket
//	Read  ← rate, down ←───────────────────────── socket
//
// The rate is one for each direction, over all connections of the peer. Latency is
// added to what the peer sends, so a round trip takes it once for each slow end.
// Bytes keep their order, deadlines and Close their meaning; what was in flight at
// a Close still arrives. A line on which nothing is set costs two atomic
// operations a call, and no goroutine.
//
// It loses nothing: TCP would make a delay of it. QUIC does not pass through it.
//
// A connection with latency has one goroutine while bytes are in flight, which
// ends with the last of them.
package link

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// MaxDelay and MaxRate bound a shape: in flight there may be what fits into a
// queue, and a line that takes longer is better called down.
const (
	MaxDelay = 10 * time.Second
	MaxRate  = 1 << 40 // bytes a second
)

// Shape is how bad a line is. The zero value is as good as it gets.
type Shape struct {
	Latency time.Duration // added to what is sent; at most MaxDelay
	Jitter  time.Duration // by which the latency differs, either way; at most MaxDelay
	Rate    int64         // bytes a second in each direction, at most MaxRate; 0 is no limit
}

// Validate answers nil, or what is wrong with s.
func (s Shape) Validate() error {
	switch {
	case s.Latency < 0 || s.Latency > MaxDelay:
		return fmt.Errorf("link: latency %s: want 0 to %s", s.Latency, MaxDelay)
	case s.Jitter < 0 || s.Jitter > MaxDelay:
		return fmt.Errorf("link: jitter %s: want 0 to %s", s.Jitter, MaxDelay)
	case s.Rate < 0 || s.Rate > MaxRate:
		return fmt.Errorf("link: rate %d: want 0 to %d bytes a second", s.Rate, int64(MaxRate))
	}
	return nil
}

// Line is the access line of one peer. Make it with [New]; it may be used by many
// goroutines at once.
type Line struct {
	now     atomic.Pointer[state] // nil: nothing is set
	in, out atomic.Int64          // bytes

	mu  sync.Mutex
	rng *rand.Rand // guarded by mu
}

// state is a shape in force.
type state struct {
	Shape
	up, down bucket
	over     chan struct{} // closed when another shape takes its place
}

// New makes a line on which nothing is set. Jitter is drawn from rng; nil is one
// that nobody foresees.
func New(rng *rand.Rand) *Line {
	if rng == nil {
		rng = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return &Line{rng: rng}
}

// Shape is what is set.
func (l *Line) Shape() Shape {
	if s := l.now.Load(); s != nil {
		return s.Shape
	}
	return Shape{}
}

// Set gives the line another shape, for the connections that are open too. Bytes
// in flight keep the latency they left with.
func (l *Line) Set(s Shape) error {
	if err := s.Validate(); err != nil {
		return err
	}
	var next *state
	if s != (Shape{}) {
		next = &state{Shape: s, over: make(chan struct{})}
	}
	if old := l.now.Swap(next); old != nil {
		close(old.over)
	}
	return nil
}

// Traffic is how many bytes the line's connections have received and sent.
func (l *Line) Traffic() (in, out int64) { return l.in.Load(), l.out.Load() }

// Conn is c, through the line.
func (l *Line) Conn(c net.Conn) net.Conn {
	return &conn{Conn: c, line: l, closed: make(chan struct{})}
}

// delay is how long bytes that leave now are in flight.
func (l *Line) delay(s *state) time.Duration {
	if s == nil {
		return 0
	}
	d := s.Latency
	if s.Jitter > 0 {
		l.mu.Lock()
		d += time.Duration(l.rng.Int64N(2*int64(s.Jitter)+1)) - s.Jitter
		l.mu.Unlock()
	}
	return max(d, 0)
}
