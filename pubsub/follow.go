package pubsub

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"sync"

	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Beside the updates there is a topic for each signed record that somebody follows, such as
// that of a name, called as other implementations of IPNS over pubsub call it. A message is
// the record and nothing else; who passes it on is nobody's concern, as the record is
// signed. One that its judge finds bad is held against who sent it; one that is merely
// older than what is known is dropped.

// recordPrefix begins the topics of records.
const recordPrefix = "/record/"

// maxTopic is the limit of a record topic's name in bytes; maxFollowed of the records that
// one peer may follow, this one too.
const (
	maxTopic    = 128
	maxFollowed = maxSubscriptions - maxTopics - 4
)

// ErrCrowded says that this bus follows as much as its neighbours allow.
var ErrCrowded = errors.New("pubsub: too many topics are followed")

// RecordTopic is the topic of the record under key.
func RecordTopic(key []byte) string {
	return recordPrefix + base64.RawURLEncoding.EncodeToString(key)
}

// RecordJudge says whether data is good under key, else an error, and whether it is worth
// passing on.
type RecordJudge func(ctx context.Context, key, data []byte) (fresh bool, err error)

// errNoJudge says that the bus was made without [Config.Record].
var errNoJudge = errors.New("pubsub: records are not carried")

// joined are the topics of records that this bus is in now.
type joined struct {
	mu   sync.Mutex
	all  map[string]*room // guarded by mu, by topic
	subs int              // guarded by mu: of them, those that are followed
}

// room is a topic that somebody here uses; joined.mu guards it.
type room struct {
	topic     *gossip.Topic
	users     int
	followers int // of the users
}

// Tell says the record under key to those who follow it. That nobody does is no error.
func (b *Bus) Tell(ctx context.Context, key, data []byte) error {
	t, leave, err := b.enter(key, false)
	if err != nil {
		return err
	}
	defer leave()
	if err := t.Publish(ctx, data); err != nil {
		if b.ended() {
			return ErrClosed
		}
		return fmt.Errorf("pubsub: tell: %w", err)
	}
	return nil
}

// Follow yields the records under key as they are heard from this call on, until ctx is
// done or the bus is closed. It must be ranged over once. A follower that is slow loses
// the newest: records are found elsewhere too. It answers [ErrCrowded] and [ErrClosed].
func (b *Bus) Follow(ctx context.Context, key []byte) (iter.Seq[[]byte], error) {
	t, leave, err := b.enter(key, true)
	if err != nil {
		return nil, err
	}
	sub, err := t.Subscribe()
	if err != nil {
		leave()
		return nil, fmt.Errorf("pubsub: follow: %w", err)
	}
	return func(yield func([]byte) bool) {
		defer leave()
		defer sub.Cancel()
		for {
			m, err := sub.Next(ctx)
			if err != nil || !yield(m.GetData()) {
				return
			}
		}
	}, nil
}

// enter joins the topic of key, or shares it with others here; leave must be called.
func (b *Bus) enter(key []byte, follow bool) (t *gossip.Topic, leave func(), err error) {
	if b.cfg.Record == nil {
		return nil, nil, errNoJudge
	}
	if b.ended() {
		return nil, nil, ErrClosed
	}
	topic := RecordTopic(key)
	b.records.mu.Lock()
	defer b.records.mu.Unlock()
	r := b.records.all[topic]
	if follow && (r == nil || r.followers == 0) && b.records.subs >= maxFollowed {
		return nil, nil, ErrCrowded
	}
	if r == nil {
		if r, err = b.open(topic, key); err != nil {
			return nil, nil, fmt.Errorf("pubsub: %s: %w", topic, err)
		}
		b.records.all[topic] = r
	}
	r.users++
	if follow {
		if r.followers++; r.followers == 1 {
			b.records.subs++
		}
	}
	return r.topic, func() {
		b.records.mu.Lock()
		defer b.records.mu.Unlock()
		if follow {
			if r.followers--; r.followers == 0 {
				b.records.subs--
			}
		}
		if r.users--; r.users == 0 {
			delete(b.records.all, topic)
			_ = r.topic.Close() // fails when gossipsub has ended, which closes it too
			_ = b.gossip.UnregisterTopicValidator(topic)
		}
	}, nil
}

func (b *Bus) open(topic string, key []byte) (*room, error) {
	err := b.gossip.RegisterTopicValidator(topic, guard(func(ctx context.Context, from peer.ID, m *gossip.Message) gossip.ValidationResult {
		fresh, err := false, errSigned
		if plain(m.Message) {
			fresh, err = b.cfg.Record(ctx, key, m.GetData())
		}
		switch {
		case len(m.GetData()) > b.cfg.MaxMessage || err != nil:
			b.rejected.Add(1)
			b.cfg.Log.Debug("record rejected", "peer", from, "err", err)
			return gossip.ValidationReject
		case !fresh:
			b.ignored.Add(1)
			return gossip.ValidationIgnore
		}
		return gossip.ValidationAccept
	}, b.caught), gossip.WithValidatorInline(true))
	if err != nil {
		return nil, err
	}
	t, err := b.gossip.Join(topic)
	if err == nil {
		params, _ := scoring(topic, b.cfg.Local)
		if err = t.SetScoreParams(params.Topics[topic]); err == nil {
			return &room{topic: t}, nil
		}
		err = errors.Join(err, t.Close())
	}
	return nil, errors.Join(err, b.gossip.UnregisterTopicValidator(topic))
}
