package pubsub_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/pubsub"
	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// scores is what a bus thinks of its peers.
type scores struct {
	mu  sync.Mutex
	now map[peer.ID]float64 // guarded by mu
}

func (s *scores) of(p peer.ID) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now[p]
}

func (s *scores) option() gossip.Option {
	return gossip.WithPeerScoreInspect(func(now map[peer.ID]float64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now = now
	}, time.Second)
}

// validator is what open takes.
type validator = func(*pubsub.Bus, context.Context, peer.ID, *gossip.Message) gossip.ValidationResult

// gullible accepts everything.
func gullible(_ *pubsub.Bus, _ context.Context, _ peer.ID, m *gossip.Message) gossip.ValidationResult {
	m.ValidatorData = pubsub.Update{Root: "whatever"}
	return gossip.ValidationAccept
}

// scene is a bus between somebody who sends what it likes and somebody who listens.
//
//	stranger - bus - behind
type scene struct {
	stranger *stranger
	id       peer.ID // the stranger's
	bus      *pubsub.Bus
	scores   scores
	heard    *ear // by the bus
	behind   *ear // by who is behind it
}

func newScene(t *testing.T, validate validator) *scene {
	t.Helper()
	hs := hosts(t, 3)
	s := &scene{id: hs[0].ID()}
	s.stranger = newStranger(t, hs[0], topic)
	open := func(i int, more ...gossip.Option) *pubsub.Bus {
		return opened(t)(pubsub.Open(t.Context(), hs[i], hs[i].Peerstore().PrivKey(hs[i].ID()), pubsub.Config{}, validate, more...))
	}
	s.bus = open(1, s.scores.option())
	s.heard, s.behind = listen(t, s.bus), listen(t, open(2))
	connect(t, hs[0], hs[1])
	connect(t, hs[1], hs[2])
	settle()
	return s
}

func TestForgeriesAreNotDelivered(t *testing.T) {
	for name, c := range map[string]struct {
		validate validator
		heard    bool
	}{
		"by a bus":                         {pubsub.Validate, false},
		"control: by one that accepts all": {gullible, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, c.validate)
				forged := forgeries(t, time.Now())[2:6] // so few that the stranger is still listened to
				for _, f := range forged {
					s.stranger.say(t, f.data)
				}
				want := 0
				if c.heard {
					want = len(forged)
				}
				if a, b := len(s.heard.take()), len(s.behind.take()); a != want || b != want {
					t.Errorf("%d heard, %d passed on; want %d", a, b, want)
				}
				if got := s.bus.Counts().Rejected; !c.heard && got != uint64(len(forged)) {
					t.Errorf("%d rejected, want %d", got, len(forged))
				}
			})
		})
	}
}

// Rarely enough that the stranger is listened to every time.
func TestNoForgeryIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		b := bus(t, hs[0], pubsub.Config{})
		heard := listen(t, b)
		forged := forgeries(t, time.Now())
		s := newStranger(t, hs[1], topic)
		connect(t, hs[0], hs[1])
		settle()
		sent := uint64(0)
		for _, f := range forged[1:] { // a message of nothing is not sent at all
			s.say(t, f.data)
			if sent++; b.Counts().Rejected != sent {
				t.Fatalf("%s: %d rejected, want %d", f.name, b.Counts().Rejected, sent)
			}
			time.Sleep(20 * time.Minute) // until it is nearly forgiven
		}
		if got := heard.take(); len(got) > 0 {
			t.Errorf("heard %+v", got)
		}
	})
}

func TestWhoForgesIsNoLongerListenedTo(t *testing.T) {
	for name, c := range map[string]struct {
		forged int
		heard  bool
	}{
		"after five":         {5, false},
		"control: after one": {1, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, pubsub.Validate)
				// The stranger has behaved as well as one can.
				for i := range 25 {
					_, good := sample(t, byte(100+i), time.Now())
					s.stranger.say(t, good)
				}
				if got := len(s.heard.take()); got != 25 {
					t.Fatalf("heard %d of 25", got)
				}
				time.Sleep(2 * time.Second)
				if got := s.scores.of(s.id); got < 8 || got > 10 {
					t.Fatalf("score %g of good conduct, want nearly 10", got)
				}
				for _, f := range forgeries(t, time.Now())[2 : 2+c.forged] {
					s.stranger.say(t, f.data)
				}
				time.Sleep(2 * time.Second)
				score := s.scores.of(s.id)
				if gone := score < pubsub.Graylist; gone == c.heard {
					t.Errorf("score %g, graylist %d", score, pubsub.Graylist)
				}
				_, good := sample(t, 3, time.Now())
				s.stranger.say(t, good)
				if got := len(s.heard.take()) > 0; got != c.heard {
					t.Errorf("a good update of the forger: heard = %v, want %v", got, c.heard)
				}
				if got := s.bus.Counts().Rejected; got != uint64(c.forged) {
					t.Errorf("%d rejected, want %d", got, c.forged)
				}
			})
		})
	}
}

func TestWhatIsMerelyUntimelyIsNotHeldAgainstAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, pubsub.Validate)
		for i := range 20 {
			_, early := sample(t, byte(i), time.Now().Add(time.Hour))
			_, late := sample(t, byte(i), time.Now().Add(-2*time.Hour))
			s.stranger.say(t, early)
			s.stranger.say(t, late)
		}
		time.Sleep(2 * time.Second)
		if c := s.bus.Counts(); c != (pubsub.Counts{Ignored: 40}) {
			t.Errorf("counts %+v, want 40 ignored", c)
		}
		if got := s.scores.of(s.id); got < 0 {
			t.Errorf("score %g, want no loss", got)
		}
	})
}

// The stranger keeps what it overhears and says it again when gossipsub has
// forgotten it and its author has not: it lives for a day.
func TestAReplayedUpdateIsNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 3)
		s := newStranger(t, hs[0], topic)
		b, author := bus(t, hs[1], pubsub.Config{}), bus(t, hs[2], pubsub.Config{Life: pubsub.MaxLife})
		connect(t, hs[0], hs[1])
		connect(t, hs[1], hs[2])
		heard := listen(t, b)
		settle()
		if _, err := author.Publish(t.Context(), pubsub.Update{Root: "r"}); err != nil {
			t.Fatal(err)
		}
		data := s.overhear(t)
		if got := len(heard.take()); got != 1 {
			t.Fatalf("heard %d times, want once", got)
		}

		const hours = 3
		for range hours {
			time.Sleep(time.Hour)
			s.say(t, data)
		}
		if got := heard.take(); len(got) > 0 {
			t.Errorf("heard again: %+v", got)
		}
		if c := b.Counts(); c.Ignored != hours || c.Rejected != 0 {
			t.Errorf("counts %+v, want %d ignored", c, hours)
		}
		// The control: it is good in itself, and heard by who has not heard it.
		if _, err := pubsub.NewValidator(topic, 16<<10).Check(data, time.Now()); err != nil {
			t.Errorf("control: %v", err)
		}
	})
}

func TestAPanicOfTheValidatorIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(b *pubsub.Bus, ctx context.Context, from peer.ID, m *gossip.Message) gossip.ValidationResult {
			if string(m.Data) == "boom" {
				panic("boom")
			}
			return pubsub.Validate(b, ctx, from, m)
		})
		s.stranger.say(t, []byte("boom"))
		_, good := sample(t, 1, time.Now())
		s.stranger.say(t, good)
		if a, b := len(s.heard.take()), len(s.behind.take()); a != 1 || b != 1 {
			t.Errorf("%d heard, %d passed on; want 1", a, b)
		}
		if c := s.bus.Counts(); c != (pubsub.Counts{Heard: 1, Rejected: 1, Panics: 1}) {
			t.Errorf("counts %+v", c)
		}
	})
}

// A stranger that subscribes to more topics at once than we look at is nobody to
// us; one that subscribes to a few others beside ours is.
func TestTopicsOfStrangersAreNotKept(t *testing.T) {
	for name, c := range map[string]struct{ topics, peers int }{
		"a flood":        {500, 0},
		"control: a few": {20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hs := hosts(t, 2)
				b := bus(t, hs[0], pubsub.Config{})
				newStranger(t, hs[1], topic, c.topics)
				connect(t, hs[0], hs[1])
				settle()
				if got := b.InTopic(); got != c.peers {
					t.Errorf("%d listeners, want %d", got, c.peers)
				}
			})
		})
	}
}

func TestAPacketBeyondAllLimitsIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, pubsub.Validate)
		s.stranger.say(t, make([]byte, 900<<10)) // ends its stream before it is read
		time.Sleep(time.Minute)
		said, err := s.bus.Publish(t.Context(), pubsub.Update{Root: "r"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := s.behind.take(); len(got) != 1 || got[0] != said {
			t.Errorf("heard %+v, want %+v", got, said)
		}
	})
}
