package link

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection through a line. Where nothing is set and nothing in flight
// it is the connection under it.
type conn struct {
	net.Conn
	line                *Line
	readEnds, writeEnds deadline
	closed              chan struct{} // closed by Close, under mu
	turn                sync.Mutex    // held by the Write that may go on

	flying atomic.Bool // set under mu: fly runs, and only it writes to Conn

	mu     sync.Mutex
	queue  []parcel      // guarded by mu: in flight, in order
	queued int           // guarded by mu: bytes of queue
	last   time.Time     // guarded by mu: when the last of it arrives
	room   chan struct{} // guarded by mu: closed when something has arrived; nil while nobody waits
	err    error         // guarded by mu: why nothing arrives any more
}

// Read is the connection's, at the line's rate.
func (c *conn) Read(b []byte) (int, error) {
	for {
		s := c.line.now.Load()
		if s == nil || s.Rate == 0 {
			break
		}
		now, err := c.wait(&c.readEnds, s.down.next(), s.over)
		if err != nil {
			return 0, err
		}
		if now {
			b = b[:min(len(b), piece(s.Rate))]
			break
		}
	}
	n, err := c.Conn.Read(b)
	c.line.in.Add(int64(n))
	if s := c.line.now.Load(); s != nil && s.Rate > 0 && n > 0 {
		s.down.take(n, s.Rate)
	}
	if err != nil && c.isClosed() {
		err = net.ErrClosed
	}
	return n, err
}

// Write is the connection's, at the line's rate. With latency it returns when b has
// left, and not when it has arrived, as a socket does.
func (c *conn) Write(b []byte) (n int, err error) {
	if c.line.now.Load() == nil && !c.flying.Load() {
		n, err := c.Conn.Write(b)
		c.line.out.Add(int64(n))
		return n, err
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	for n < len(b) {
		if c.isClosed() {
			return n, net.ErrClosed
		}
		s, rest := c.line.now.Load(), b[n:]
		if s != nil {
			rest = rest[:min(len(rest), piece(s.Rate))]
		}
		if s != nil && s.Rate > 0 {
			now, err := c.wait(&c.writeEnds, s.up.take(len(rest), s.Rate), s.over)
			if err != nil {
				return n, err
			}
			if !now {
				continue
			}
		}
		sent, err := c.send(rest, c.line.delay(s))
		n += sent
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// wait waits until the time at. It answers false when the shape was replaced before,
// and an error when the deadline or a Close came first.
func (c *conn) wait(ends *deadline, at time.Time, over <-chan struct{}) (bool, error) {
	for time.Until(at) > 0 {
		end, changed := ends.watch()
		first := at
		if !end.IsZero() && end.Before(at) {
			first = end
		}
		timer := time.NewTimer(time.Until(first))
		select {
		case <-timer.C:
			if first.Equal(end) {
				return false, os.ErrDeadlineExceeded
			}
		case <-changed:
		case <-c.closed:
			timer.Stop()
			return false, net.ErrClosed
		case <-over:
			timer.Stop()
			return false, nil
		}
		timer.Stop()
	}
	return true, nil
}

func (c *conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// Close closes the connection. What is in flight arrives at the other end first;
// here everything ends at once.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return net.ErrClosed
	}
	close(c.closed)
	if !c.flying.Load() {
		return c.Conn.Close()
	}
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // ends a Read; of a dead socket there is none
	return c.Conn.SetWriteDeadline(c.last.Add(flushTime))
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline bounds Read, with its wait for the rate.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return net.ErrClosed
	}
	c.readEnds.set(t)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline bounds Write, with its wait for the rate. What has left already
// is not held up by it.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return net.ErrClosed
	}
	c.writeEnds.set(t)
	if c.flying.Load() {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}
