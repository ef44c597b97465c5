package link

import (
	"bytes"
	"net"
	"os"
	"time"
)

const (
	maxQueued = 16 << 20        // bytes of one connection in flight
	flushTime = 2 * time.Second // for the other end to take what was in flight at a Close
)

// parcel is in flight until it is due.
type parcel struct {
	due  time.Time
	data []byte
}

// send lets b arrive after the delay, and after all that left before it.
func (c *conn) send(b []byte, delay time.Duration) (int, error) {
	c.mu.Lock()
	if delay == 0 && !c.flying.Load() {
		c.mu.Unlock()
		n, err := c.Conn.Write(b)
		c.line.out.Add(int64(n))
		return n, err
	}
	defer c.mu.Unlock()
	for c.queued > 0 && c.queued+len(b) > maxQueued && c.err == nil {
		if err := c.waitForRoomLocked(); err != nil {
			return 0, err
		}
	}
	switch end, _ := c.writeEnds.watch(); {
	case c.isClosed():
		return 0, net.ErrClosed
	case c.err != nil:
		return 0, c.err
	case !end.IsZero() && !time.Now().Before(end):
		return 0, os.ErrDeadlineExceeded
	}
	if due := time.Now().Add(delay); due.After(c.last) {
		c.last = due
	}
	c.queue = append(c.queue, parcel{c.last, bytes.Clone(b)})
	c.queued += len(b)
	if !c.flying.Load() {
		_ = c.Conn.SetWriteDeadline(time.Time{}) // the Write that sends it is over; a dead socket says so below
		c.flying.Store(true)
		go c.fly() // ends when nothing is in flight any more
	}
	return len(b), nil
}

// waitForRoomLocked waits until something has arrived, with mu unlocked meanwhile.
func (c *conn) waitForRoomLocked() error {
	if c.room == nil {
		c.room = make(chan struct{})
	}
	room := c.room
	c.mu.Unlock()
	defer c.mu.Lock()
	never := time.Now().Add(24 * time.Hour) // the other end may take as long as it likes
	_, err := c.wait(&c.writeEnds, never, room)
	return err
}

// fly brings what is in flight to the socket when it is due.
func (c *conn) fly() {
	for {
		p, ok := c.first()
		if !ok {
			return
		}
		if d := time.Until(p.due); d > 0 {
			<-time.After(d) // at most MaxDelay and its jitter: nothing calls back what is in flight
		}
		n, err := c.Conn.Write(p.data)
		c.line.out.Add(int64(n))
		c.arrived(len(p.data), err)
	}
}

// first gives what arrives next. When there is nothing, flying is over.
func (c *conn) first() (parcel, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 && c.err == nil {
		return c.queue[0], true
	}
	c.queue, c.queued = nil, 0
	c.flying.Store(false)
	if c.isClosed() {
		_ = c.Conn.Close() // Close has answered
		return parcel{}, false
	}
	end, _ := c.writeEnds.watch()
	_ = c.Conn.SetWriteDeadline(end) // of a dead socket the next Write tells
	return parcel{}, false
}

// arrived takes the first parcel, of n bytes, out of the queue.
func (c *conn) arrived(n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue[0] = parcel{}
	c.queue, c.queued, c.err = c.queue[1:], c.queued-n, err
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}
