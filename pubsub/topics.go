package pubsub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Beside what is ours there are topics of applications, of any name that does not begin
// with one of our prefixes. Their messages are signed as gossipsub's StrictSign has it, so
// that programs of others read them and are read; what they say is nobody's concern here.
//
//	neighbour → its pace → signature → form, size, its author's pace → every listener's queue
//
// A peer is in a topic as long as somebody here listens to it, and passes on no others.

// The limits of topics of applications.
const (
	maxTopics    = 32 // topics that one peer may listen to, this one too
	maxListeners = 64 // calls of Hear at once

	sayEvery, saySurge       = 20 * time.Millisecond, 50 // messages that we publish
	authorEvery, authorSurge = 20 * time.Millisecond, 100
	nextEvery, nextSurge     = 5 * time.Millisecond, 400 // messages that a neighbour brings, whoever wrote them
)

var (
	// ErrTopic says that a topic is none of an application: it is empty, too long or ours.
	ErrTopic = errors.New("pubsub: no topic for applications: want 1 to 128 bytes that begin neither with /cairn/ nor with /record/")
	// ErrNoTopics says that the bus was made without [Config.Topics].
	ErrNoTopics = errors.New("pubsub: topics of applications are not carried")
	// ErrTooLong says that a message is longer than [Config.MaxMessage].
	ErrTooLong = errors.New("pubsub: message too long")
)

// forApps reports whether an application may have topic.
func forApps(topic string) bool {
	return topic != "" && len(topic) <= maxTopic && !strings.HasPrefix(topic, "/cairn/") && !strings.HasPrefix(topic, recordPrefix)
}

// Message is what somebody said on a topic of an application.
type Message struct {
	From  peer.ID // who signed it
	Seq   []byte  // 8 bytes that tell it from others of From
	Topic string
	Data  []byte // not to be written to: all listeners share it
}

// Say publishes data on a topic of an application, signed by this peer. It says no more than
// fifty messages a second, and waits when it has to. That nobody listens is no error. It
// answers [ErrTopic], [ErrTooLong], [ErrNoTopics] and [ErrClosed].
func (b *Bus) Say(ctx context.Context, topic string, data []byte) error {
	if len(data) > b.cfg.MaxMessage {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrTooLong, len(data), b.cfg.MaxMessage)
	}
	r, err := b.visit(topic, false)
	if err != nil {
		return err
	}
	defer b.part(r, false)
	for wait := b.apps.mayWe(); wait > 0; wait = b.apps.mayWe() {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("pubsub: say: %w", ctx.Err())
		case <-b.done:
			return ErrClosed
		}
	}
	if err := r.topic.Publish(ctx, data, gossip.WithSecretKeyAndPeerId(b.key, b.self)); err != nil {
		if b.ended() {
			return ErrClosed
		}
		return fmt.Errorf("pubsub: say: %w", err)
	}
	return nil
}

// Hear yields what is said on a topic of an application from this call on, our own messages
// included, until ctx is done; then it ends without an error. It may be ranged over once, and
// listens until it has been or ctx is done. A listener that falls behind by more than 256
// messages or 1 MiB loses the oldest. It answers [ErrTopic], [ErrCrowded], [ErrNoTopics] and
// [ErrClosed], which is also the last error when the bus is closed.
func (b *Bus) Hear(ctx context.Context, topic string) (iter.Seq2[Message, error], error) {
	r, err := b.visit(topic, true)
	if err != nil {
		return nil, err
	}
	mine := r.hears.add()
	left := context.AfterFunc(ctx, func() { b.unhear(r, mine) })
	return func(yield func(Message, error) bool) {
		defer func() {
			if left() {
				b.unhear(r, mine)
			}
		}()
		for {
			m, ok := r.hears.next(ctx, mine, b.done)
			if !ok {
				break
			}
			if !yield(m, nil) {
				return
			}
		}
		if ctx.Err() == nil {
			yield(Message{}, ErrClosed)
		}
	}, nil
}

func (b *Bus) unhear(r *hall, mine *reader[Message]) {
	r.hears.remove(mine)
	b.part(r, true)
}

// Topics are the topics of applications that somebody here listens to, in order.
func (b *Bus) Topics() (all []string) {
	b.apps.mu.Lock()
	defer b.apps.mu.Unlock()
	for name, r := range b.apps.all {
		if r.listeners > 0 {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// Listeners are the connected peers that listen to a topic of an application; of "" all that
// gossip. Of any other topic there are none.
func (b *Bus) Listeners(topic string) []peer.ID {
	if topic != "" && !forApps(topic) || b.ended() {
		return nil
	}
	ids := b.gossip.ListPeers(topic)
	slices.Sort(ids)
	return ids
}
