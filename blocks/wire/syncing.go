package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	mh "github.com/multiformats/go-multihash"
)

// SyncProtocol is the libp2p name of the comparison of what two peers keep.
const SyncProtocol protocol.ID = "/cairn/sync/1.0.0"

const (
	comparing     = 16       // comparisons answered at once
	comparingEach = 2        // of those, for one peer
	partSize      = 60 << 10 // of a message that takes several frames
	nameSize      = 32
)

// Name is the 32 bytes by which something is compared. What they stand for is the
// caller's.
type Name = [nameSize]byte

// Asker is the side of a comparison that begins it. Its messages are opaque here.
type Asker interface {
	First() []byte                               // the first message
	Step(answer []byte) (next []byte, err error) // nil is the end; an empty answer says that all agrees; an error is the other side's fault
	Room(head []byte) int                        // bytes that a message which begins so may have
}

// Answerer is the side that is asked.
type Answerer interface {
	Step(message []byte) (answer []byte, err error) // nil is the end; an error is the other side's fault
	Room(head []byte) int
}

// Reconciler is what this peer lets others compare.
type Reconciler interface {
	// Reconcile answers for what this peer keeps together with from.
	Reconcile(ctx context.Context, from peer.ID) (Answerer, error)
	// Names gives the hashes that names stand for, nil for those that are not known or
	// not from's to know.
	Names(ctx context.Context, from peer.ID, names []Name) ([]mh.Multihash, error)
}

// ServeSync answers comparisons on h until the returned function is called; that waits
// for the answers under way.
func ServeSync(h host.Host, rec Reconciler, cfg Config) (stop func()) {
	cfg = cfg.withDefaults()
	return attend(h, SyncProtocol, cfg, comparing, comparingEach, func(ctx context.Context, from peer.ID, l *link, _ func()) error {
		return reconcile(ctx, rec, from, l)
	})
}

// Sync compares what x has with what p keeps together with this peer. It ends in order
// once x has nothing left to ask.
func (c *Client) Sync(ctx context.Context, p peer.ID, x Asker) error {
	return c.askOn(ctx, p, SyncProtocol, "compare with", func(l *link) error {
		wait := longest // the first answer may need a walk through all that is held
		for msg := x.First(); msg != nil; wait = timeout {
			if err := sendParts(l, msg); err != nil {
				return err
			}
			answer, err := readParts(l, nil, wait, x.Room)
			if errors.Is(err, errEnd) {
				answer = nil
			} else if err != nil {
				return err
			}
			if msg, err = x.Step(answer); err != nil {
				return malformed("%w", err)
			}
			if answer == nil && msg != nil {
				return malformed("no answer")
			}
		}
		return nil
	})
}

// Names asks p for the hashes that names, at most [Batch] of them, stand for. One that p
// does not tell is nil.
func (c *Client) Names(ctx context.Context, p peer.ID, names []Name) (hs []mh.Multihash, err error) {
	q := naming{}
	for i := range names {
		q.names = append(q.names, names[i][:])
	}
	err = c.askOn(ctx, p, SyncProtocol, "ask for names", func(l *link) error {
		r, err := reply[*named](l, &q)
		if err != nil {
			return err
		}
		if len(r.hashes) != len(names) {
			return malformed("%d hashes for %d names", len(r.hashes), len(names))
		}
		hs = r.hashes
		return nil
	})
	return hs, err
}

// errEnd says that the other side has ended in order, before a message.
var errEnd = errors.New("wire: the end")

// reconcile answers a stream: one comparison, or any number of questions for names.
func reconcile(ctx context.Context, rec Reconciler, from peer.ID, l *link) (err error) {
	defer recovered(&err)
	var y Answerer
	for {
		m, err := first(l, timeout)
		if errors.Is(err, errEnd) {
			return nil
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *part:
			if y == nil {
				if y, err = rec.Reconcile(ctx, from); err != nil {
					return fmt.Errorf("wire: compare: %w", err)
				}
			}
			msg, err := readParts(l, m, timeout, y.Room)
			if err != nil {
				return err
			}
			answer, err := y.Step(msg)
			if err != nil {
				return malformed("%w", err)
			}
			if answer == nil {
				return nil
			}
			if err := sendParts(l, answer); err != nil {
				return err
			}
		case *naming:
			names := make([]Name, len(m.names))
			for i := range names {
				names[i] = Name(m.names[i])
			}
			hs, err := rec.Names(ctx, from, names)
			if err != nil {
				return fmt.Errorf("wire: names: %w", err)
			}
			if err := l.send(&named{hs}); err != nil {
				return err
			}
		default:
			return malformed("message %d is no question", m.number())
		}
	}
}

// first reads a frame, or errEnd.
func first(l *link, wait time.Duration) (message, error) {
	m, err := l.next(wait)
	if err == io.EOF { //nolint:errorlint // io.Reader says EOF itself
		return nil, errEnd
	}
	return m, err
}

// sendParts sends a message in as many frames as it takes.
func sendParts(l *link, msg []byte) error {
	for len(msg) > partSize {
		if err := l.send(&part{msg[:partSize], 1}); err != nil {
			return err
		}
		msg = msg[partSize:]
	}
	return l.send(&part{msg, 0})
}

// readParts reads a message of which m, unless it is nil, has been read. A part before
// the last is whole, so that a trickle of small ones is none.
func readParts(l *link, m *part, wait time.Duration, room func(head []byte) int) (msg []byte, err error) {
	for {
		if m == nil {
			next, err := first(l, wait)
			if errors.Is(err, errEnd) && len(msg) > 0 {
				return nil, io.ErrUnexpectedEOF
			}
			if err != nil {
				return nil, err
			}
			var ok bool
			if m, ok = next.(*part); !ok {
				return nil, unexpected(next)
			}
		}
		msg = append(msg, m.bytes...)
		switch {
		case len(msg) == 0:
			return nil, malformed("a message of nothing")
		case len(msg) > room(msg):
			return nil, malformed("%d bytes, room for %d", len(msg), room(msg))
		case m.more == 0:
			return msg, nil
		case len(m.bytes) != partSize:
			return nil, malformed("a part of %d bytes before the last", len(m.bytes))
		}
		m, wait = nil, timeout
	}
}
