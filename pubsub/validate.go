package pubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// MemoryAuthors is how many authors a bus remembers the latest update of. One
// takes about 200 bytes.
const MemoryAuthors = 4096

const (
	maxAhead  = 10 * time.Minute       // how far an author's clock may be ahead of ours
	interval  = 100 * time.Millisecond // between the updates of one author, in the long run
	burstHear = 30                     // updates of one author heard at once
	burstSay  = 10                     // updates published at once: less, because gossip bunches them
)

// errIgnored marks an update that is whole, but not for us or not now. Whoever
// passed it on is not to blame.
var errIgnored = errors.New("ignored")

// validator decides over what strangers send. It is safe for concurrent use.
type validator struct {
	topic string
	max   int // bytes of an envelope

	mu      sync.Mutex
	authors *simplelru.LRU[peer.ID, author] // guarded by mu
}

// author is what is remembered of one.
type author struct {
	seq  uint64 // the highest heard
	pace pace
}

func newValidator(topic string, max int) *validator {
	authors, err := simplelru.NewLRU[peer.ID, author](MemoryAuthors, nil)
	if err != nil {
		panic(err) // the size is positive
	}
	return &validator{topic: topic, max: max, authors: authors}
}

// validate is asked by gossipsub about every new message, ours included.
func (b *Bus) validate(_ context.Context, from peer.ID, m *gossip.Message) gossip.ValidationResult {
	u, err := Update{}, errSigned
	if plain(m.Message) {
		u, err = b.judge.check(m.GetData(), time.Now())
	}
	switch {
	case errors.Is(err, errIgnored):
		b.ignored.Add(1)
		b.cfg.Log.Debug("update ignored", "peer", from, "err", err)
		return gossip.ValidationIgnore
	case err != nil:
		b.rejected.Add(1)
		b.cfg.Log.Debug("update rejected", "peer", from, "err", err)
		return gossip.ValidationReject
	}
	m.ValidatorData = u
	return gossip.ValidationAccept
}

// caught is told of a panic of validate.
func (b *Bus) caught(p any) {
	b.panics.Add(1)
	b.rejected.Add(1)
	b.cfg.Log.Error("update validator panicked", "err", p)
}

// check answers the update in data if it may be heard now, and remembers that it
// was. Otherwise its error says why not: errIgnored, or else data is nothing that
// any peer could ever have accepted.
func (v *validator) check(data []byte, now time.Time) (Update, error) {
	if len(data) > v.max {
		return Update{}, fmt.Errorf("%d bytes, limit %d", len(data), v.max)
	}
	u, err := unseal(v.topic, data)
	if err != nil {
		return Update{}, err
	}
	return u, v.admit(u, now)
}

// admit decides what depends on our clock and on what we have heard.
func (v *validator) admit(u Update, now time.Time) error {
	if ahead := u.Time.Sub(now); ahead > maxAhead {
		return fmt.Errorf("%w: %s ahead of our clock", errIgnored, ahead)
	}
	if !u.Expires.After(now) {
		return fmt.Errorf("%w: expired %s", errIgnored, u.Expires.Format(time.RFC3339))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	a, known := v.authors.Get(u.From)
	if known && u.Seq <= a.seq {
		return fmt.Errorf("%w: sequence %d, heard %d", errIgnored, u.Seq, a.seq)
	}
	if wait := a.pace.take(now, interval, burstHear); wait > 0 {
		return fmt.Errorf("%w: author is %s too fast", errIgnored, wait)
	}
	a.seq = u.Seq
	v.authors.Add(u.From, a)
	return nil
}

// highest is the highest sequence heard of an author, 0 for none.
func (v *validator) highest(id peer.ID) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	a, _ := v.authors.Peek(id)
	return a.seq
}

// pace lets one pass an interval, and a burst at once after a rest. It is the
// time at which the next would be due if all had kept the interval.
type pace struct{ due time.Time }

// take answers 0 and counts one, or answers how long to wait and counts none.
func (p *pace) take(now time.Time, interval time.Duration, burst int) (wait time.Duration) {
	due := p.due
	if due.Before(now) {
		due = now
	}
	if wait = due.Sub(now) - time.Duration(burst-1)*interval; wait > 0 {
		return wait
	}
	p.due = due.Add(interval)
	return 0
}

// guard turns a panic of check into a rejection and tells caught of it.
func guard(check gossip.ValidatorEx, caught func(any)) gossip.ValidatorEx {
	return func(ctx context.Context, from peer.ID, m *gossip.Message) (r gossip.ValidationResult) {
		defer func() {
			if p := recover(); p != nil {
				caught(p)
				r = gossip.ValidationReject
			}
		}()
		return check(ctx, from, m)
	}
}
