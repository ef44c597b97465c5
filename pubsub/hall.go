package pubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// apps are the topics of applications that this bus is in now, and the paces that hold
// back who says too much.
type apps struct {
	heard, excess atomic.Uint64

	mu        sync.Mutex
	all       map[string]*hall // guarded by mu, by topic
	heardIn   int              // guarded by mu: topics that somebody listens to
	listeners int              // guarded by mu: calls of Hear under way
	lost      uint64           // guarded by mu: by listeners of topics that were left

	pacing  sync.Mutex
	ours    pace                           // guarded by pacing
	authors *simplelru.LRU[peer.ID, *pace] // guarded by pacing
	next    *simplelru.LRU[peer.ID, *pace] // guarded by pacing: of neighbours
}

// hall is a topic of an application that somebody here uses.
type hall struct {
	name      string
	topic     *gossip.Topic
	hears     *readers[Message]
	sub       *gossip.Subscription // guarded by apps.mu; nil as long as nobody listens
	users     int                  // guarded by apps.mu
	listeners int                  // guarded by apps.mu: of the users
}

func newApps() apps {
	paces := func() *simplelru.LRU[peer.ID, *pace] {
		l, err := simplelru.NewLRU[peer.ID, *pace](MemoryAuthors, nil)
		if err != nil {
			panic(err) // the size is positive
		}
		return l
	}
	return apps{all: map[string]*hall{}, authors: paces(), next: paces()}
}

// missed is how many messages slow listeners lost.
func (a *apps) missed() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.lost
	for _, r := range a.all {
		all += r.hears.lost()
	}
	return all
}

// mayWe counts one message of ours, or says how long to wait for that.
func (a *apps) mayWe() time.Duration {
	a.pacing.Lock()
	defer a.pacing.Unlock()
	return a.ours.take(time.Now(), sayEvery, saySurge)
}

// may counts one message of p among those of all, or says that it is one too many.
func (a *apps) may(all *simplelru.LRU[peer.ID, *pace], p peer.ID, every time.Duration, surge int) bool {
	a.pacing.Lock()
	defer a.pacing.Unlock()
	its, ok := all.Get(p)
	if !ok {
		its = new(pace)
		all.Add(p, its)
	}
	if its.take(time.Now(), every, surge) > 0 {
		a.excess.Add(1)
		return false
	}
	return true
}

// visit joins topic, or shares it with others here; part must be called.
func (b *Bus) visit(topic string, listen bool) (*hall, error) {
	switch {
	case !b.cfg.Topics:
		return nil, ErrNoTopics
	case !forApps(topic):
		return nil, fmt.Errorf("%w: %.40q", ErrTopic, topic)
	case b.ended():
		return nil, ErrClosed
	}
	a := &b.apps
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.all[topic]
	if listen && (a.listeners >= maxListeners || (r == nil || r.listeners == 0) && a.heardIn >= maxTopics) {
		return nil, ErrCrowded
	}
	if r == nil {
		var err error
		if r, err = b.openHall(topic); err != nil {
			return nil, fmt.Errorf("pubsub: topic %q: %w", topic, err)
		}
		a.all[topic] = r
	}
	r.users++
	if !listen {
		return r, nil
	}
	if r.sub == nil {
		sub, err := r.topic.Subscribe(gossip.WithMessageFilter(func(m *gossip.Message) bool {
			b.apps.heard.Add(1)
			r.hears.tell(Message{From: m.GetFrom(), Seq: m.GetSeqno(), Topic: topic, Data: m.GetData()})
			return false
		}), gossip.WithBufferSize(1))
		if err != nil {
			b.partLocked(r, false)
			return nil, fmt.Errorf("pubsub: topic %q: %w", topic, err)
		}
		r.sub = sub
	}
	if r.listeners++; r.listeners == 1 {
		a.heardIn++
	}
	a.listeners++
	return r, nil
}

// part ends a visit: who is the last leaves the topic.
func (b *Bus) part(r *hall, listened bool) {
	b.apps.mu.Lock()
	defer b.apps.mu.Unlock()
	b.partLocked(r, listened)
}

func (b *Bus) partLocked(r *hall, listened bool) {
	a := &b.apps
	if listened {
		a.listeners--
		if r.listeners--; r.listeners == 0 {
			a.heardIn--
			r.sub.Cancel()
			r.sub = nil
		}
	}
	if r.users--; r.users == 0 {
		delete(a.all, r.name)
		a.lost += r.hears.lost()
		_ = r.topic.Close() // fails when gossipsub has ended, which closes it too
		_ = b.gossip.UnregisterTopicValidator(r.name)
	}
}

func (b *Bus) openHall(name string) (*hall, error) {
	err := b.gossip.RegisterTopicValidator(name, guard(b.admitApp, b.caught), gossip.WithValidatorInline(true))
	if err != nil {
		return nil, err
	}
	t, err := b.gossip.Join(name)
	if err == nil {
		params, _ := scoring(name, b.cfg.Local)
		if err = t.SetScoreParams(params.Topics[name]); err == nil {
			return &hall{name: name, topic: t, hears: newReaders(func(m Message) int { return len(m.Data) })}, nil
		}
		err = errors.Join(err, t.Close())
	}
	return nil, errors.Join(err, b.gossip.UnregisterTopicValidator(name))
}

// admitApp is asked about every new message on a topic of an application, ours included. Its
// signature, where it has one, was found good.
func (b *Bus) admitApp(_ context.Context, from peer.ID, m *gossip.Message) gossip.ValidationResult {
	switch {
	case m.Signature == nil || len(m.GetFrom()) == 0 || len(m.GetSeqno()) != 8:
		b.rejected.Add(1)
		b.cfg.Log.Debug("message rejected", "peer", from, "topic", m.GetTopic(), "err", "not signed")
		return gossip.ValidationReject
	case len(m.GetData()) > b.cfg.MaxMessage: // others may have other limits
		b.apps.excess.Add(1)
		return gossip.ValidationIgnore
	case !b.apps.may(b.apps.authors, m.GetFrom(), authorEvery, authorSurge):
		return gossip.ValidationIgnore
	}
	return gossip.ValidationAccept
}
