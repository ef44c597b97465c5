package dht

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

// netID is the number of a network's name.
func (c Config) netID() uint64 {
	name := c.Network
	if name == "" {
		name = "main"
	}
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:8])
}

// hello is what this peer says of itself now.
func (r *Router) hello() Hello {
	h := Hello{Net: r.cfg.netID(), Incarnation: r.incarnation, Flags: Flags(r.parting.Load())}
	if time.Since(r.began) < r.cfg.Young {
		h.Flags |= Young
	}
	if r.cfg.Free != nil {
		switch free, known := r.cfg.Free(); {
		case known && free > 0:
			h.Free = uint64(free)
		case known:
			h.Flags |= Full
		}
	}
	return h
}

// Hello is what the connected peer p has last said of itself.
func (r *Router) Hello(p peer.ID) (Hello, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, ok := r.hellos[p]
	return h, ok
}

// Flagged is what p has last said of itself: it takes no blocks of others, or has not
// been up for long. Of this peer itself, and of one that said nothing, nothing is known.
func (r *Router) Flagged(p peer.ID) (full, young bool) {
	h, _ := r.Hello(p)
	return h.Flags&Full != 0, h.Flags&Young != 0
}

// heard takes what p says of itself, and that it lives.
func (r *Router) heard(p peer.ID, h Hello) {
	if r.host.Network().Connectedness(p) != network.Connected {
		return // it was on its way when the connection ended
	}
	r.mu.Lock()
	r.hellos[p] = h
	m := r.view.members[p]
	if m != nil {
		m.misses, m.tries = 0, 0
		m.next = time.Now().Add(r.cfg.pace(m.near))
	}
	r.mu.Unlock()
	switch {
	case h.Net != r.cfg.netID():
		r.disown(p)
	case h.Flags&(Draining|Leaving) != 0:
		r.part(p, h.Flags)
	default:
		r.seen(p)
	}
}

// disown notes that p is of another network.
func (r *Router) disown(p peer.ID) {
	r.mu.Lock()
	m := r.view.members[p]
	met := m != nil && m.met
	if m != nil {
		r.view.forget(m)
	}
	r.mu.Unlock()
	r.cfg.Log.Debug("peer of another network", "peer", p)
	if met {
		r.protect()
		r.wake()
	}
}

// part notes that p is about to stop: it keeps its seat for the grace, unless it
// leaves for good.
func (r *Router) part(p peer.ID, f Flags) {
	r.mu.Lock()
	now := time.Now()
	news := r.view.lost(p, now)
	if m := r.view.members[p]; m != nil && f&Leaving != 0 {
		news = news || now.Sub(m.gone) < r.cfg.Grace
		m.gone = now.Add(-r.cfg.Grace)
	}
	r.mu.Unlock()
	if news {
		r.cfg.Log.Info("member stops", "peer", p, "for good", f&Leaving != 0)
		r.grieve()
	}
}

// greet exchanges Hellos with the connected p.
func (r *Router) greet(ctx context.Context, p peer.ID) error {
	answer, err := r.call(ctx, p, r.hello())
	if err != nil {
		return err
	}
	h, ok := answer.(Hello)
	if !ok {
		return fmt.Errorf("%w: no hello", errForm)
	}
	r.heard(p, h)
	return nil
}

// call is one exchange on a stream of its own, no longer than a dial.
func (r *Router) call(ctx context.Context, p peer.ID, q message) (message, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.patience())
	defer cancel()
	l, err := r.line(ctx, p)
	if err != nil {
		return nil, err
	}
	answer, err := l.exchange(ctx, q)
	if err != nil {
		_ = l.s.Reset()
		return nil, err
	}
	_ = l.s.Close()
	return answer, nil
}

// line is a stream of the view protocol, from the side that asks.
type line struct {
	mu sync.Mutex // one exchange at a time
	s  network.Stream
	in *bufio.Reader
}

func (r *Router) line(ctx context.Context, p peer.ID) (*line, error) {
	s, err := r.host.NewStream(network.WithNoDial(ctx, "ask a member"), p, ViewProtocol)
	if err != nil {
		return nil, fmt.Errorf("dht: ask: %w", err)
	}
	return &line{s: s, in: bufio.NewReader(s)}, nil
}

// exchange asks and waits for the answer, until ctx is done. After an error the line
// is good for nothing.
func (l *line) exchange(ctx context.Context, q message) (message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = l.s.Reset() })
	defer stop()
	if end, ok := ctx.Deadline(); ok {
		_ = l.s.SetDeadline(end)
	}
	if _, err := l.s.Write(appendMessage(nil, q)); err != nil {
		return nil, fmt.Errorf("dht: ask: %w", err)
	}
	return readMessage(l.in, maxFrame)
}

// hear notes peers that another one names: hints, until this peer has met them.
func (r *Router) hear(hints []hint) {
	for _, h := range hints {
		if h.id == r.self {
			continue
		}
		if addrs := r.cfg.admit(h.addrs); len(addrs) > 0 {
			r.host.Peerstore().AddAddrs(h.id, addrs, peerstore.TempAddrTTL)
		}
		strange := r.strange(h.id)
		r.mu.Lock()
		r.view.named(h.id, strange, time.Now())
		r.mu.Unlock()
	}
}
