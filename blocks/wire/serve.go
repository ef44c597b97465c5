package wire

import (
	"context"
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
	"github.com/libp2p/go-libp2p/core/protocol"
	mh "github.com/multiformats/go-multihash"
)

const (
	inHand  = 1024 // streams answered at once
	perPeer = 16   // of those, for one peer
	crowded = time.Second
)

// Keeper decides what this peer keeps for others.
type Keeper interface {
	// Offer says of each item what becomes of it under l: Have (it is here, and now
	// held), 0 (it is wanted), or why not. Items are fit and l is valid.
	Offer(ctx context.Context, from peer.ID, l blocks.Lease, items []Item) ([]Status, error)
	// Keep puts blocks, which were wanted, on the disk under l. A [*Refusal] is told to
	// the other side; any other error is ours alone.
	Keep(ctx context.Context, from peer.ID, l blocks.Lease, bs ...blocks.Block) error
}

// Config is what both sides may be given. The zero value is for production.
type Config struct {
	Conduct *Conduct                                            // nil: offences are not counted
	Closer  func(context.Context, mh.Multihash) []peer.AddrInfo // who may have a block, as far as is known here; nil gives no hints
	Room    int64                                               // bytes reserved for what comes in, and in hand to go out; 0 is 64 MiB each
	Records RecordKeeper                                        // nil keeps none
	Denied  func(mh.Multihash) bool                             // says which block is given to nobody; nil: none
	Counts  *Counts                                             // of what is brought; nil counts nothing
	Caught  func(v any)                                         // told of each panic that cost an exchange its answer, and nobody else anything; nil: nobody is
	Log     *slog.Logger                                        // nil discards
}

func (c Config) withDefaults() Config {
	if c.Room == 0 {
		c.Room = globalCredit
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Denied == nil {
		c.Denied = func(mh.Multihash) bool { return false }
	}
	if c.Closer == nil {
		c.Closer = func(context.Context, mh.Multihash) []peer.AddrInfo { return nil }
	}
	return c
}

// service is what all exchanges of a server share.
type service struct {
	st     blocks.Store
	led    blocks.Ledger
	keeper Keeper
	cfg    Config
	room   *budget // for what comes in
	turns  *turns  // for what goes out
	pace   *pace   // for what is read to prove it

	passing  chan struct{} // a slot for each offer that is being passed on
	remnants *remnants
}

func newService(st blocks.Store, led blocks.Ledger, keeper Keeper, cfg Config) *service {
	cfg = cfg.withDefaults()
	return &service{st: st, led: led, keeper: keeper, cfg: cfg, room: newBudget(cfg.Room), turns: newTurns(cfg.Room), pace: newPace(), passing: make(chan struct{}, passings),
		remnants: &remnants{lost: cfg.Counts.addCut}}
}

// Serve answers on h out of st and led, and asks keeper what to keep, until the
// returned function is called; that waits for the answers under way.
func Serve(h host.Host, st blocks.Store, led blocks.Ledger, keeper Keeper, cfg Config) (stop func()) {
	return newService(st, led, keeper, cfg).serve(h)
}

func (sv *service) serve(h host.Host) (stop func()) {
	return attend(h, Protocol, sv.cfg, inHand, perPeer, func(ctx context.Context, from peer.ID, l *link, out func()) error {
		x := exchange{service: sv, from: from, l: l, out: out}
		return x.guarded(ctx)
	})
}

// attend answers each stream on which on is spoken: all at once, and each of them for one
// peer. out gives the stream's place to others before its end.
func attend(h host.Host, on protocol.ID, cfg Config, all, each int, answer func(ctx context.Context, from peer.ID, l *link, out func()) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	room := make(chan struct{}, all)
	rooms := crowd{each: each, m: map[peer.ID]*guest{}}
	h.SetStreamHandler(on, func(s network.Stream) {
		wg.Add(1)
		defer wg.Done()
		end := context.AfterFunc(ctx, func() { _ = s.Reset() })
		defer end()
		from := s.Conn().RemotePeer()
		if cfg.Conduct.Refused(from) {
			_ = s.Reset()
			return
		}
		l := newLink(s)
		own := rooms.enter(from)
		defer rooms.leave(from)
		var in []chan struct{}
		out := sync.OnceFunc(func() {
			for _, room := range in {
				<-room
			}
		})
		defer out()
		for _, room := range []chan struct{}{own, room} { // its own first: who crowds, waits for itself
			select {
			case room <- struct{}{}:
				in = append(in, room)
			case <-time.After(timeout):
				busyNow(l)
				_ = s.Close()
				return
			case <-ctx.Done():
				return
			}
		}
		if err := answer(ctx, from, l, out); err != nil {
			cfg.caught(from, err)
			cfg.Log.Debug("block stream failed", "peer", from, "err", err)
			cfg.penalty(s, from, err)
			return
		}
		_ = s.SetDeadline(time.Now().Add(timeout))
		_ = s.Close()
	})
	return func() {
		h.RemoveStreamHandler(on)
		cancel()
		wg.Wait()
	}
}

// penalty ends a stream that failed, and counts what its peer did.
func (c Config) penalty(s network.Stream, from peer.ID, err error) {
	switch {
	case errors.Is(err, blocks.ErrMismatch): // it hears so before it is refused
		_ = s.SetDeadline(time.Now().Add(timeout))
		_ = s.Close()
		c.Conduct.offence(from, tolerated)
	case errors.Is(err, ErrForm):
		_ = s.Reset()
		c.Conduct.offence(from, 1)
	default:
		_ = s.Reset()
	}
}

// busyNow says that there is too much to do.
func busyNow(l *link) { _ = l.send(&busy{uint32(crowded.Milliseconds())}) }

// crowd is the peers that are being answered, with room for a few exchanges each.
type crowd struct {
	each int // exchanges

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
		g = &guest{room: make(chan struct{}, c.each)}
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

// exchange is one stream being answered.
type exchange struct {
	*service
	from peer.ID
	l    *link
	out  func() // gives back its room before it ends: what is left of it is work for others
}

// guarded answers, and turns a panic into an error: a stranger's bytes must not
// end this process.
func (x *exchange) guarded(ctx context.Context) (err error) {
	defer recovered(&err)
	return x.answer(ctx)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &panicError{p, debug.Stack()}
	}
}

// panicError is a panic of an exchange.
type panicError struct {
	v     any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("wire: panic: %v", e.v) }

// caught tells of err if it is a panic.
func (c Config) caught(from peer.ID, err error) {
	var fault *panicError
	if !errors.As(err, &fault) {
		return
	}
	c.Log.Error("block stream panicked", "peer", from, "panic", fault.v, "stack", string(fault.stack))
	if c.Caught != nil {
		c.Caught(fault.v)
	}
}

func (x *exchange) answer(ctx context.Context) error {
	for {
		m, err := x.l.next(timeout)
		if err == io.EOF { //nolint:errorlint // io.Reader says EOF itself
			return nil
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *offer:
			return x.take(ctx, m)
		case *get:
			return x.give(ctx, m)
		case *have:
			err = x.tell(ctx, m)
		case *leases:
			err = x.show(ctx, m)
		case *putRecord:
			err = x.keepRecord(ctx, m)
		case *getRecord:
			err = x.showRecord(ctx, m)
		default:
			err = malformed("message %d is no question", m.number())
		}
		if err != nil {
			return err
		}
	}
}
