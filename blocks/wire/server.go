package wire

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

const (
	maxLeases = 16 // told of one block
	inHand    = 64 // exchanges answered at once: bounds the blocks in memory
	perPeer   = 16 // of those, for one peer
)

// Keeper decides what this peer keeps for others. A [*Refusal] is told to the
// other side; any other error is ours alone.
type Keeper interface {
	// Offer says whether the block h of size bytes is wanted under l. have says
	// that it is here already, and now held.
	Offer(ctx context.Context, from peer.ID, l blocks.Lease, h mh.Multihash, size int) (have bool, err error)
	// Keep puts b, which was wanted, on the disk under l.
	Keep(ctx context.Context, from peer.ID, l blocks.Lease, b blocks.Block) error
}

// Serve answers on h out of st and led, and asks keeper what to keep, until the
// returned function is called; that waits for the answers under way. caught, unless it is
// nil, is told of each panic that cost one exchange its answer and nobody else anything.
func Serve(h host.Host, st blocks.Store, led blocks.Ledger, keeper Keeper, log *slog.Logger, caught func(v any)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	room := make(chan struct{}, inHand)
	rooms := crowd{m: map[peer.ID]*guest{}}
	h.SetStreamHandler(Protocol, func(s network.Stream) {
		wg.Add(1)
		defer wg.Done()
		end := context.AfterFunc(ctx, func() { _ = s.Reset() })
		defer end()
		from := s.Conn().RemotePeer()
		own := rooms.enter(from)
		defer rooms.leave(from)
		for _, room := range []chan struct{}{own, room} { // its own first: who crowds, waits for itself
			select {
			case room <- struct{}{}:
				defer func() { <-room }()
			case <-time.After(timeout):
				_ = s.Reset()
				return
			case <-ctx.Done():
				return
			}
		}
		_ = s.SetDeadline(time.Now().Add(timeout))
		x := exchange{st: st, led: led, keeper: keeper, from: from, w: s,
			more: func() { _ = s.SetDeadline(time.Now().Add(timeout)) }}
		if err := x.guarded(ctx, s); err != nil {
			var fault *panicError
			if errors.As(err, &fault) {
				log.Error("block stream panicked", "peer", from, "panic", fault.v, "stack", string(fault.stack))
				if caught != nil {
					caught(fault.v)
				}
			}
			log.Debug("block stream failed", "peer", from, "err", err)
			_ = s.Reset()
			return
		}
		_ = s.Close()
	})
	return func() {
		h.RemoveStreamHandler(Protocol)
		cancel()
		wg.Wait()
	}
}

// crowd is the peers that are being answered, with room for a few exchanges each.
type crowd struct {
	mu sync.Mutex
	m  map[peer.ID]*guest // guarded by mu
}

type guest struct {
	room    chan struct{}
	streams int // guarded by crowd.mu
}

func (c *crowd) enter(p peer.ID) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.m[p]
	if g == nil {
		g = &guest{room: make(chan struct{}, perPeer)}
		c.m[p] = g
	}
	g.streams++
	return g.room
}

func (c *crowd) leave(p peer.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.m[p]; g.streams > 1 {
		g.streams--
	} else {
		delete(c.m, p)
	}
}

// exchange is one request being answered.
type exchange struct {
	st     blocks.Store
	led    blocks.Ledger
	keeper Keeper
	from   peer.ID
	w      io.Writer
	more   func() // gives the peer time for its next step
}

// panicError is a panic of an exchange.
type panicError struct {
	v     any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("wire: panic: %v", e.v) }

// guarded answers, and turns a panic into an error: a stranger's bytes must not
// end this process.
func (x exchange) guarded(ctx context.Context, r io.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	return x.answer(ctx, bufio.NewReader(r))
}

func (x exchange) answer(ctx context.Context, r *bufio.Reader) error {
	kind, err := r.ReadByte()
	if err != nil {
		return err
	}
	switch kind {
	case reqStore:
		return x.store(ctx, r)
	case reqGet:
		h, err := readKey(r)
		if err != nil {
			return err
		}
		return x.give(ctx, h)
	case reqState:
		hs, err := readKeys(r)
		if err != nil {
			return err
		}
		return x.states(ctx, hs)
	case reqProve:
		nonce, err := readField(r, nonceSize)
		if err != nil {
			return err
		}
		hs, err := readKeys(r)
		if err != nil {
			return err
		}
		return x.prove(ctx, nonce, hs)
	case reqLeases:
		h, err := readKey(r)
		if err != nil {
			return err
		}
		return x.leases(ctx, h)
	}
	return fmt.Errorf("%w: request %q", errForm, kind)
}

func (x exchange) store(ctx context.Context, r *bufio.Reader) error {
	l, err := readLease(r)
	if err != nil {
		return x.refuse(&Refusal{BadLease, err.Error()})
	}
	h, err := readKey(r)
	if err != nil {
		return err
	}
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	if err := blocks.Fit(h, int(min(size, blocks.MaxSize+1))); err != nil {
		return x.refuse(&Refusal{Unfit, err.Error()})
	}
	if err := l.Valid(time.Now()); err != nil {
		return x.refuse(&Refusal{BadLease, err.Error()})
	}
	switch have, err := x.keeper.Offer(ctx, x.from, l, h, int(size)); {
	case err != nil:
		return x.refuse(err)
	case have:
		return x.say(ansHave)
	}
	if err := x.say(ansWant); err != nil {
		return err
	}
	data, err := readData(r, int(size), x.more)
	if err != nil {
		return err
	}
	b, err := blocks.Check(blocks.Key(h), data)
	if err != nil {
		return x.refuse(&Refusal{Mismatch, err.Error()})
	}
	if err := x.keeper.Keep(ctx, x.from, l, b); err != nil {
		return x.refuse(err)
	}
	x.more()
	return x.say(ansKept)
}

// refuse tells a Refusal, or that something failed here; what failed is returned.
func (x exchange) refuse(err error) error {
	var no *Refusal
	if !errors.As(err, &no) {
		no = &Refusal{Failed, "could not keep it"}
		if errors.Is(err, blocks.ErrFull) {
			no = &Refusal{Full, "no space left"}
		}
	} else {
		err = nil
	}
	reason := no.Reason[:min(len(no.Reason), maxReason)]
	_, werr := x.w.Write(appendField([]byte{ansNo, byte(no.Code)}, []byte(reason)))
	return errors.Join(err, werr)
}

func (x exchange) say(b byte) error { _, err := x.w.Write([]byte{b}); return err }

func (x exchange) give(ctx context.Context, h mh.Multihash) error {
	err := x.st.View(ctx, h, func(data []byte) error {
		x.more()
		if _, err := x.w.Write(binary.AppendUvarint([]byte{ansBlock}, uint64(len(data)))); err != nil {
			return err
		}
		const step = 256 << 10
		for len(data) > 0 {
			n := min(len(data), step)
			x.more()
			if _, err := x.w.Write(data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	})
	if blocks.IsNotFound(err) || errors.Is(err, blocks.ErrMismatch) {
		return errors.Join(x.say(ansNone), onlyRot(err))
	}
	return err
}

// onlyRot keeps what an operator should see in the log of a missing block's error.
func onlyRot(err error) error {
	if blocks.IsNotFound(err) {
		return nil
	}
	return err
}

func (x exchange) states(ctx context.Context, hs []mh.Multihash) error {
	out := []byte{reqState}
	for _, h := range hs {
		s, err := StateOf(ctx, x.st, x.led, h)
		if err != nil {
			return err
		}
		out = append(out, byte(s))
	}
	_, err := x.w.Write(out)
	return err
}

// StateOf is what a peer with st and led has of h.
func StateOf(ctx context.Context, st blocks.Store, led blocks.Ledger, h mh.Multihash) (State, error) {
	here, err := st.Has(ctx, h)
	if err != nil || !here {
		return Absent, err
	}
	ls, err := led.Leases(ctx, h)
	if err != nil || len(blocks.Standing(ls, time.Now())) == 0 {
		return Here, err
	}
	return Held, nil
}

// Proof shows that whoever makes it has data: the nonce comes first, as the key
// of an HMAC, so that nothing can be computed before it is known.
func Proof(nonce, data []byte) []byte {
	m := hmac.New(sha256.New, nonce)
	m.Write(data)
	return m.Sum(nil)
}

func (x exchange) prove(ctx context.Context, nonce []byte, hs []mh.Multihash) error {
	if len(nonce) != nonceSize {
		return fmt.Errorf("%w: nonce of %d bytes", errForm, len(nonce))
	}
	if err := x.say(reqProve); err != nil {
		return err
	}
	for _, h := range hs {
		var proof []byte
		err := x.st.View(ctx, h, func(data []byte) error { proof = Proof(nonce, data); return nil })
		if err != nil && !blocks.IsNotFound(err) && !errors.Is(err, blocks.ErrMismatch) {
			return err
		}
		state := Absent
		if len(proof) > 0 {
			if state, err = StateOf(ctx, x.st, x.led, h); err != nil {
				return err
			}
		}
		x.more()
		if _, err := x.w.Write(appendField([]byte{byte(state)}, proof)); err != nil {
			return err
		}
	}
	return nil
}

func (x exchange) leases(ctx context.Context, h mh.Multihash) error {
	ls, err := x.led.Leases(ctx, h)
	if err != nil {
		return err
	}
	ls = blocks.Standing(ls, time.Now())
	ls = ls[:min(len(ls), maxLeases)]
	out := binary.AppendUvarint([]byte{reqLeases}, uint64(len(ls)))
	for _, l := range ls {
		out = appendField(out, l.Marshal())
	}
	_, err = x.w.Write(out)
	return err
}
