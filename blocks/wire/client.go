package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	mh "github.com/multiformats/go-multihash"
)

// Client asks other peers. Its methods may be called by many goroutines at once.
type Client struct {
	host host.Host
	cfg  Config
	room *budget // for what comes in

	mu   sync.Mutex
	gets map[peer.ID]*getting // guarded by mu: streams on which blocks are asked for
}

// NewClient asks through h.
func NewClient(h host.Host, cfg Config) *Client {
	cfg = cfg.withDefaults()
	return &Client{host: h, cfg: cfg, room: newBudget(cfg.Room), gets: map[peer.ID]*getting{}}
}

// Have asks p what it has of each of hs, at most [Batch] of them, and for the proofs,
// made with nonce, of those of hs that prove names, at most [Proofs]. A proof that p
// does not give is empty; see [Proof].
func (c *Client) Have(ctx context.Context, p peer.ID, hs []mh.Multihash, nonce []byte, prove []int) (states []State, proofs [][]byte, err error) {
	q := have{keys: hs, nonce: nonce}
	for _, i := range prove {
		q.prove = append(q.prove, uint32(i))
	}
	err = c.ask(ctx, p, "ask", func(l *link) error {
		r, err := reply[*haveR](l, &q)
		if err != nil {
			return err
		}
		if err := errors.Join(checkBitmap(r.here, len(hs)), checkBitmap(r.held, len(hs))); err != nil {
			return err
		}
		if len(r.proofs) != len(prove) {
			return malformed("%d proofs, want %d", len(r.proofs), len(prove))
		}
		states = make([]State, len(hs))
		for i := range hs {
			switch {
			case bit(r.held, i):
				states[i] = Held
			case bit(r.here, i):
				states[i] = Here
			}
		}
		proofs = r.proofs
		return nil
	})
	return states, proofs, err
}

// States asks p what it has of each of hs, at most [Batch] of them.
func (c *Client) States(ctx context.Context, p peer.ID, hs []mh.Multihash) ([]State, error) {
	states, _, err := c.Have(ctx, p, hs, nil, nil)
	return states, err
}

// Proven is a peer's answer to a challenge: what it has of a block, and the proof.
type Proven struct {
	State State
	MAC   []byte // see [Proof]; empty when State is Absent
}

// Prove asks p for the proof of each of hs, at most [Proofs] of them.
func (c *Client) Prove(ctx context.Context, p peer.ID, nonce []byte, hs []mh.Multihash) ([]Proven, error) {
	all := make([]int, len(hs))
	for i := range all {
		all[i] = i
	}
	states, macs, err := c.Have(ctx, p, hs, nonce, all)
	if err != nil {
		return nil, err
	}
	out := make([]Proven, len(hs))
	for i, mac := range macs {
		if len(mac) > 0 {
			out[i] = Proven{states[i], mac}
		}
	}
	return out, nil
}

// Leases asks p under which leases it holds h. They are well-formed; whether they
// stand is for the caller to ask of each.
func (c *Client) Leases(ctx context.Context, p peer.ID, h mh.Multihash) (ls []blocks.Lease, err error) {
	err = c.ask(ctx, p, "ask for leases", func(l *link) error {
		r, err := reply[*leasesR](l, &leases{h})
		if err != nil {
			return err
		}
		for _, rec := range r.records {
			one, err := blocks.ParseLease(rec)
			if err != nil {
				return malformed("%w", err)
			}
			ls = append(ls, one)
		}
		return nil
	})
	return ls, err
}

// reply sends q and reads the answer to it.
func reply[T message](l *link, q message) (r T, err error) {
	if err := l.send(q); err != nil {
		return r, err
	}
	m, err := l.next(longest)
	if err != nil {
		return r, cut(err)
	}
	if r, ok := m.(T); ok {
		return r, nil
	}
	return r, unexpected(m)
}

// unexpected is the error for a message that is no answer to what was asked.
func unexpected(m message) error {
	if b, ok := m.(*busy); ok {
		no := refusal(Busy)
		no.Retry = time.Duration(b.retryMS) * time.Millisecond
		return no
	}
	return malformed("message %d is no answer", m.number())
}

// open makes a stream to p.
func (c *Client) open(ctx context.Context, p peer.ID, on protocol.ID) (network.Stream, error) {
	if c.cfg.Conduct.Refused(p) {
		return nil, refusal(Banned)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.host.NewStream(ctx, p, on)
}

// ask opens a stream for one exchange, and ends it with the call or with ctx.
func (c *Client) ask(ctx context.Context, p peer.ID, what string, exchange func(*link) error) error {
	return c.askOn(ctx, p, Protocol, what, exchange)
}

func (c *Client) askOn(ctx context.Context, p peer.ID, on protocol.ID, what string, exchange func(*link) error) error {
	s, err := c.open(ctx, p, on)
	if err != nil {
		return fmt.Errorf("wire: %s %s: %w", what, p, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	if err := exchange(newLink(s)); err != nil {
		_ = s.Reset()
		if errors.Is(err, ErrForm) {
			c.cfg.Conduct.offence(p, 1)
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("wire: %s %s: %w", what, p, err)
	}
	_ = s.SetDeadline(time.Now().Add(timeout))
	_ = s.Close() // everything that was promised has been read
	return nil
}
