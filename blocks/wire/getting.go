package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

// Fetch gets the block id from p, checked; a [Missing] says that p has not got it.
// Calls for one peer at the same time share a stream, so many of them at once are what
// makes it fast: each is a want that is added to the stream, and cancelled with ctx.
func (c *Client) Fetch(ctx context.Context, p peer.ID, id cid.Cid) (blocks.Block, error) {
	b, err := c.fetch(ctx, p, id)
	if err != nil {
		return blocks.Block{}, fmt.Errorf("wire: fetch from %s: %w", p, err)
	}
	return b, nil
}

func (c *Client) fetch(ctx context.Context, p peer.ID, id cid.Cid) (b blocks.Block, err error) {
	if c.cfg.Conduct.Refused(p) {
		return b, refusal(Banned)
	}
	g := c.board(ctx, p)
	defer c.leave(g)
	w, err := g.want(ctx, id.Hash())
	if err != nil {
		return b, err
	}
	select {
	case <-w.end:
	case <-g.done: // an answer may have come with the end
		select {
		case <-w.end:
		default:
			return b, g.err
		}
	case <-ctx.Done():
		g.cancel(w)
		return b, ctx.Err()
	}
	if w.err != nil {
		return b, w.err
	}
	defer g.consumed(len(w.bytes))
	b, err = blocks.Check(id, w.bytes)
	if errors.Is(err, blocks.ErrMismatch) {
		c.cfg.Conduct.offence(p, 1)
		if c.cfg.Conduct.Refused(p) {
			g.stop()
		}
	}
	return b, err
}

// board joins the stream to p, or begins one that lives until its last rider leaves.
func (c *Client) board(ctx context.Context, p peer.ID) *getting {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.gets[p]
	if g == nil {
		g = newGetting(p, c.room)
		c.gets[p] = g
		run, stop := context.WithCancel(context.WithoutCancel(ctx))
		g.stop = stop
		go func() { // ended by stop, when it has no riders left, or by the peer; waited for on done
			defer stop()
			err := c.run(run, g)
			c.cfg.caught(p, err)
			c.mu.Lock()
			if c.gets[p] == g {
				delete(c.gets, p) // who comes now begins another
			}
			c.mu.Unlock()
			g.err = err
			close(g.done)
		}()
	}
	g.riders++
	return g
}

func (c *Client) leave(g *getting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.riders--; g.riders == 0 {
		if c.gets[g.p] == g {
			delete(c.gets, g.p)
		}
		g.stop()
	}
}

// run opens the stream of g and speaks on it until g is stopped or it fails.
func (c *Client) run(ctx context.Context, g *getting) (err error) {
	defer recovered(&err)
	reserved, err := c.room.take(ctx, blocks.MaxSize, blocks.MaxSize)
	if err != nil {
		return err
	}
	g.reserve(reserved)
	defer func() { c.room.give(g.reserved) }()
	s, err := c.open(ctx, g.p, Protocol)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { g.end(s) })
	defer stop()
	err = g.speak(ctx, newLink(s))
	_ = s.Reset() // nothing of what was asked is to come any more
	if errors.Is(err, ErrForm) {
		c.cfg.Conduct.offence(g.p, 1)
	}
	switch {
	case c.cfg.Conduct.Refused(g.p):
		return refusal(Banned)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return cut(err)
}

// getting is one stream of a Client on which blocks are asked for:
//
//	want → write (Get, Cancel, Credit) → peer → read (Data, Miss) → who wants it, who checks it → credit
type getting struct {
	p     peer.ID
	room  *budget
	wake  chan struct{} // 1-buffered: there is something to write
	slots chan struct{} // a slot for each want that is not answered
	done  chan struct{} // closed once err is set
	err   error
	stop  context.CancelFunc

	riders int // guarded by Client.mu

	mu       sync.Mutex
	wants    map[uint32]*wish // guarded by mu: asked for or to be, and not answered
	fresh    []item           // guarded by mu: not yet written
	next     uint32           // guarded by mu
	cancels  []uint32         // guarded by mu: not yet written
	reserved int64            // guarded by mu: bytes of the budget; set for good when it is over
	here     int64            // guarded by mu: bytes that came and are being checked
	back     int64            // guarded by mu: credit to be given, not yet written
	soon     func(time.Duration)
}

// wish is one block that is wanted.
type wish struct {
	idx   uint32
	gone  bool          // guarded by getting.mu: nobody waits for it any more
	end   chan struct{} // closed once bytes or err are set
	bytes []byte
	hash  mh.Multihash
	err   error
}

func newGetting(p peer.ID, room *budget) *getting {
	return &getting{p: p, room: room, wants: map[uint32]*wish{}, wake: make(chan struct{}, 1),
		slots: make(chan struct{}, Batch), done: make(chan struct{})}
}

func (g *getting) reserve(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reserved += n
	g.back += n
}

// want asks for h.
func (g *getting) want(ctx context.Context, h mh.Multihash) (*wish, error) {
	select {
	case g.slots <- struct{}{}:
	case <-g.done:
		return nil, g.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	w := &wish{idx: g.next, hash: h, end: make(chan struct{})}
	g.next++
	if len(g.wants) == 0 && g.soon != nil {
		g.soon(timeout)
	}
	g.wants[w.idx] = w
	g.fresh = append(g.fresh, item{hash: h})
	if g.reserved < min(streamCredit, int64(len(g.wants))*blocks.MaxSize) && g.room.try(blocks.MaxSize) {
		g.reserved += blocks.MaxSize
		g.back += blocks.MaxSize
	}
	g.rouse()
	return w, nil
}

func (g *getting) rouse() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// cancel says that nobody waits for w any more.
func (g *getting) cancel(w *wish) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wants[w.idx] == nil {
		g.freed(int64(len(w.bytes))) // it came at the last moment
		return
	}
	w.gone = true
	g.cancels = append(g.cancels, w.idx)
	g.rouse()
}

// consumed gives back the credit of n bytes that were checked.
func (g *getting) consumed(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.freed(int64(n))
}

// freed is consumed with mu held. Credit goes back in pieces that are worth a frame, and
// at once when the peer may be waiting for it.
func (g *getting) freed(n int64) {
	g.here -= n
	g.back += n
	if g.back >= g.reserved/4 || g.here == 0 && g.reserved-g.back < blocks.MaxSize {
		g.rouse()
	}
}

// end closes the stream in order when nothing is owed on it, and else breaks it off.
func (g *getting) end(s network.Stream) {
	g.mu.Lock()
	owed := len(g.wants)
	g.mu.Unlock()
	if owed == 0 {
		_ = s.SetDeadline(time.Now().Add(timeout))
		_ = s.Close()
		return
	}
	_ = s.Reset()
}

func (g *getting) speak(ctx context.Context, l *link) error {
	over, cancel := context.WithCancel(ctx)
	var eg errgroup.Group
	eg.Go(func() error {
		err := g.write(over, l)
		if err != nil {
			l.reset()
		}
		return err
	})
	err := g.read(l)
	cancel()
	return errors.Join(err, eg.Wait())
}

// write writes what there is to say, together what has gathered.
func (g *getting) write(ctx context.Context, l *link) error {
	for {
		if ms := g.news(); len(ms) > 0 {
			if err := l.send(ms...); err != nil {
				return err
			}
		}
		select {
		case <-g.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

func (g *getting) news() (ms []message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.fresh) > 0 {
		n := min(len(g.fresh), Batch)
		ms = append(ms, &get{items: g.fresh[:n:n], credit: uint64(g.back)})
		g.fresh, g.back = g.fresh[n:], 0
	}
	if g.back > 0 && g.next > 0 { // the first frame is a Get
		ms = append(ms, &credit{uint64(g.back)})
		g.back = 0
	}
	for _, i := range g.cancels {
		ms = append(ms, &cancel{i})
	}
	g.cancels = nil
	return ms
}

// read hands each answer to who waits for it.
func (g *getting) read(l *link) error {
	g.mu.Lock()
	g.soon = l.readBy
	g.mu.Unlock()
	for {
		g.patience(l)
		m, err := l.frame()
		if err == io.EOF { //nolint:errorlint // io.Reader says EOF itself
			return io.ErrUnexpectedEOF // it is for this side to end
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *miss:
			w, err := g.answered(m.idx, 0)
			if err != nil {
				return err
			}
			w.err = &Missing{Key: w.hash, Hint: m.closer}
			g.hand(w)
		case *data:
			if err := g.take(l, m); err != nil {
				return err
			}
		default:
			return unexpected(m)
		}
	}
}

// patience is short while the peer owes an answer.
func (g *getting) patience(l *link) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.wants) > 0 {
		l.readBy(timeout)
	} else {
		l.readBy(2 * longest)
	}
}

func (g *getting) take(l *link, m *data) error {
	g.mu.Lock()
	w, left := g.wants[m.idx], g.reserved-g.here-g.back
	gone := w != nil && w.gone
	g.mu.Unlock()
	n := int64(m.size)
	switch {
	case w == nil:
		return malformed("data for %d, which is not wanted", m.idx)
	case n > left:
		return malformed("%d bytes on a credit of %d", n, left)
	case gone:
		if err := l.skip(int(n)); err != nil {
			return err
		}
	default:
		b, err := l.data(nil, int(n))
		if err != nil {
			return err
		}
		w.bytes = b
	}
	w, err := g.answered(m.idx, n)
	if err != nil {
		return err
	}
	g.hand(w)
	return nil
}

// answered strikes out a want; n bytes of it are here now.
func (g *getting) answered(idx uint32, n int64) (*wish, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.wants[idx]
	if w == nil {
		return nil, malformed("an answer to %d, which is not wanted", idx)
	}
	delete(g.wants, idx)
	g.here += n
	if w.gone {
		g.freed(n)
	}
	return w, nil
}

// hand gives w to who waits for it.
func (g *getting) hand(w *wish) {
	close(w.end)
	<-g.slots
}
