package wire

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

const (
	maxWants  = 2 * Batch // that one stream may have open
	hands     = 2         // read from the disk for one stream: one reads while the other writes
	maxCredit = globalCredit
)

// giving is one get being answered:
//
//	stream → wants, credit → (credit ≥ size) → turn among peers → lent by the store → stream
type giving struct {
	*exchange

	mu     sync.Mutex
	moved  sync.Cond
	wants  []wanted // guarded by mu: not begun yet
	begun  int      // guarded by mu: begun and not ended
	next   uint32   // guarded by mu: idx of the next item
	credit int64    // guarded by mu
	over   bool     // guarded by mu: the peer asks for no more
	err    error    // guarded by mu: why this ended early
}

type wanted struct {
	idx  uint32
	hash mh.Multihash
}

func (x *exchange) give(ctx context.Context, first *get) error {
	v := giving{exchange: x}
	v.moved.L = &v.mu
	if err := v.ask(first); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { v.fail(ctx.Err()); x.l.reset() })
	for range hands {
		g.Go(func() (err error) {
			defer recovered(&err)
			return v.work(ctx)
		})
	}
	g.Go(func() (err error) {
		defer recovered(&err)
		err = v.listen()
		if err == nil {
			stop() // what is left ends by itself
		}
		return err
	})
	return g.Wait()
}

// listen hears what else is wanted, until the peer asks for no more.
func (v *giving) listen() error {
	for {
		m, err := v.l.next(longest)
		if err == io.EOF { //nolint:errorlint // io.Reader says EOF itself
			v.mu.Lock()
			v.over = true
			v.mu.Unlock()
			v.moved.Broadcast()
			return nil
		}
		if err == nil {
			err = v.hear(m)
		}
		if err != nil {
			return err
		}
	}
}

func (v *giving) hear(m message) error {
	switch m := m.(type) {
	case *get:
		return v.ask(m)
	case *credit:
		return v.grant(m.bytes)
	case *cancel:
		return v.strike(m.idx)
	}
	return malformed("message %d in a get", m.number())
}

func (v *giving) ask(m *get) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(m.items) == 0 || len(v.wants)+v.begun+len(m.items) > maxWants {
		return malformed("%d more wants to %d", len(m.items), len(v.wants)+v.begun)
	}
	for _, it := range m.items {
		v.wants = append(v.wants, wanted{v.next, it.hash})
		v.next++
	}
	return v.more(m.credit)
}

func (v *giving) grant(n uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.more(n)
}

// more adds to the credit, with mu held.
func (v *giving) more(n uint64) error {
	if n > maxCredit || v.credit+int64(n) > maxCredit {
		return malformed("credit of %d more than %d", n, v.credit)
	}
	v.credit += int64(n)
	v.moved.Broadcast()
	return nil
}

// strike answers a want that is not begun; of another it has no news.
func (v *giving) strike(idx uint32) error {
	v.mu.Lock()
	i := slices.IndexFunc(v.wants, func(w wanted) bool { return w.idx == idx })
	if idx >= v.next {
		v.mu.Unlock()
		return malformed("cancel of %d, which was not asked", idx)
	}
	if i >= 0 {
		v.wants = slices.Delete(v.wants, i, i+1)
	}
	v.mu.Unlock()
	if i < 0 {
		return nil
	}
	return v.l.send(&miss{idx: idx})
}

func (v *giving) fail(err error) {
	v.mu.Lock()
	if v.err == nil {
		v.err = err
	}
	v.mu.Unlock()
	v.moved.Broadcast()
}

// begin takes up the next want. It answers false when there will be none.
func (v *giving) begin() (w wanted, ok bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		switch {
		case v.err != nil:
			return w, false, v.err
		case len(v.wants) > 0:
			w, v.wants = v.wants[0], v.wants[1:]
			v.begun++
			return w, true, nil
		case v.over:
			return w, false, nil
		}
		v.moved.Wait()
	}
}

// spend waits until there is credit for n bytes.
func (v *giving) spend(n int64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for v.credit < n {
		switch {
		case v.err != nil:
			return v.err
		case v.over:
			return malformed("no credit for %d bytes, and none to come", n)
		}
		v.moved.Wait()
	}
	v.credit -= n
	return nil
}

func (v *giving) unspend(n int64) {
	v.mu.Lock()
	v.credit += n
	v.begun--
	v.mu.Unlock()
	v.moved.Broadcast()
}

func (v *giving) work(ctx context.Context) error {
	for {
		w, ok, err := v.begin()
		if err != nil || !ok {
			return err
		}
		if err := v.one(ctx, w); err != nil {
			return err
		}
	}
}

// one answers one want.
func (v *giving) one(ctx context.Context, w wanted) error {
	size, err := v.st.Size(ctx, w.hash)
	if err == nil && v.cfg.Denied(w.hash) {
		err = blocks.NotFound(blocks.Key(w.hash))
	}
	if err != nil || size > blocks.MaxSize {
		v.unspend(0)
		return v.missing(ctx, w, err)
	}
	n := int64(size)
	if err := v.spend(n); err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, timeout/2)
	err = v.turns.take(soon, v.from, n)
	cancel()
	if err != nil {
		busyNow(v.l)
		return err
	}
	defer v.turns.done(v.from, n)
	var sent error
	err = v.st.View(ctx, w.hash, func(b []byte) error {
		if len(b) != size {
			return blocks.ErrMismatch
		}
		sent = v.l.sendData(w.idx, b, func() { v.l.readBy(longest) })
		return sent
	})
	switch {
	case sent != nil:
		return sent
	case err != nil:
		v.unspend(n)
		return v.missing(ctx, w, err)
	}
	v.unspend(0)
	return nil
}

// missing says that there is no such block; what else was wrong here is ours alone.
func (v *giving) missing(ctx context.Context, w wanted, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !blocks.IsNotFound(err) && !errors.Is(err, blocks.ErrMismatch) {
		v.cfg.Log.Debug("block cannot be given", "key", w.hash.B58String(), "err", err)
	}
	return v.l.send(&miss{idx: w.idx, closer: v.closer(ctx, w.hash)})
}
