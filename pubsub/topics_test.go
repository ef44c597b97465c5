package pubsub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/pubsub"
	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

var carries = pubsub.Config{Topics: true}

// hearing collects what b hears on a topic until the test ends or stop is called.
func hearing(t *testing.T, b *pubsub.Bus, topic string) (take func() []pubsub.Message, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	heard, err := b.Hear(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	all, done := make(chan pubsub.Message, 10_000), make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range heard {
			if err == nil {
				all <- m
			}
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return func() (ms []pubsub.Message) {
		for len(all) > 0 {
			ms = append(ms, <-all)
		}
		return ms
	}, stop
}

// signer is a peer of others: it speaks gossipsub as Kubo does, with StrictSign.
func signer(t *testing.T, h host.Host, topic string, opts ...gossip.Option) (*gossip.Topic, *gossip.Subscription) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ps, err := gossip.NewGossipSub(ctx, h, append([]gossip.Option{gossip.WithFloodPublish(true)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	tp, err := ps.Join(topic)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := tp.Subscribe(gossip.WithBufferSize(4096))
	if err != nil {
		t.Fatal(err)
	}
	return tp, sub
}

// a — b — c: what a says reaches c through b, if b listens; with its author's name on it.
func TestWhatIsSaidOnATopicIsHeardByThoseWhoListen(t *testing.T) {
	for name, between := range map[string]bool{"b listens": true, "control: b does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hs := hosts(t, 3)
				a, b, c := bus(t, hs[0], carries), bus(t, hs[1], carries), bus(t, hs[2], carries)
				connect(t, hs[0], hs[1])
				connect(t, hs[1], hs[2])
				mine, _ := hearing(t, a, "chat")
				far, _ := hearing(t, c, "chat")
				other, _ := hearing(t, c, "chat/other")
				if between {
					hearing(t, b, "chat")
				}
				settle()
				if err := a.Say(t.Context(), "chat", []byte("hello\x00")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				got := far()
				if len(got) != 1 == between || between && (got[0].From != hs[0].ID() || string(got[0].Data) != "hello\x00" || got[0].Topic != "chat" || len(got[0].Seq) != 8) {
					t.Errorf("c heard %+v", got)
				}
				if own := mine(); len(own) != 1 {
					t.Errorf("a heard %+v of itself", own)
				}
				if more := other(); len(more) > 0 {
					t.Errorf("heard on another topic: %+v", more)
				}
				if got := b.Listeners("chat"); between != slices.Equal(got, sorted(hs[0].ID(), hs[2].ID())) && len(got) != 2 {
					t.Errorf("b knows %v", got)
				}
				if got := c.Topics(); !slices.Equal(got, []string{"chat", "chat/other"}) {
					t.Errorf("c is in %q", got)
				}
			})
		})
	}
}

func sorted(ids ...peer.ID) []peer.ID { slices.Sort(ids); return ids }

// A peer of another program, with the rules that Kubo and js-libp2p have.
func TestPeersOfOtherProgramsAreHeardAndHear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		b := bus(t, hs[0], carries)
		topic, sub := signer(t, hs[1], "chat")
		connect(t, hs[0], hs[1])
		heard, _ := hearing(t, b, "chat")
		settle()
		if err := errors.Join(b.Say(t.Context(), "chat", []byte("from us")), topic.Publish(t.Context(), []byte("from them"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		var texts []string
		for _, m := range heard() {
			texts = append(texts, string(m.Data))
		}
		if slices.Sort(texts); !slices.Equal(texts, []string{"from them", "from us"}) {
			t.Errorf("we heard %q", texts)
		}
		for { // it hears itself too
			m, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if string(m.Data) == "from us" && m.GetFrom() == hs[0].ID() {
				return
			}
		}
	})
}

func TestAListenerThatHasLeftIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		a, b := bus(t, hs[0], carries), bus(t, hs[1], carries)
		connect(t, hs[0], hs[1])
		_, stop := hearing(t, a, "chat")
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := a.Hear(ctx, "chat"); err != nil { // and is never read
			t.Fatal(err)
		}
		settle()
		if got := b.Listeners("chat"); len(got) != 1 {
			t.Fatalf("%v listen", got)
		}
		stop()
		settle()
		if got := a.Topics(); len(got) != 1 {
			t.Errorf("%q: one still listens", got)
		}
		cancel()
		settle()
		if got, in := b.Listeners("chat"), a.Topics(); len(got)+len(in) > 0 {
			t.Errorf("%v listen, in %q", got, in)
		}
	})
}

func TestTopicsOfOursAndWhatIsTooMuchAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		b, none := bus(t, hs[0], carries), bus(t, hs[1], pubsub.Config{})
		for _, name := range []string{"", topic, pubsub.Topic("other"), "/cairn/x", pubsub.RecordTopic([]byte("k")), strings.Repeat("x", 129)} {
			_, err := b.Hear(t.Context(), name)
			if !errors.Is(err, pubsub.ErrTopic) || !errors.Is(b.Say(t.Context(), name, []byte("x")), pubsub.ErrTopic) {
				t.Errorf("%.20q: %v", name, err)
			}
		}
		if err := b.Say(t.Context(), "chat", make([]byte, 16<<10+1)); !errors.Is(err, pubsub.ErrTooLong) {
			t.Errorf("a long message: %v", err)
		}
		if _, err := none.Hear(t.Context(), "chat"); !errors.Is(err, pubsub.ErrNoTopics) {
			t.Errorf("a bus without topics: %v", err)
		}
		for i := range pubsub.MaxTopics {
			if _, err := b.Hear(t.Context(), fmt.Sprint("topic", i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Hear(t.Context(), "one more"); !errors.Is(err, pubsub.ErrCrowded) {
			t.Errorf("one topic more: %v", err)
		}
		for range pubsub.MaxListeners - pubsub.MaxTopics {
			if _, err := b.Hear(t.Context(), "topic0"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Hear(t.Context(), "topic0"); !errors.Is(err, pubsub.ErrCrowded) {
			t.Errorf("one listener more: %v", err)
		}
	})
}

// Of one peer no more than its share of topics is remembered.
func TestANeighboursTopicsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		b := bus(t, hs[0], carries)
		newStranger(t, hs[1], topic, 60)
		connect(t, hs[0], hs[1])
		settle()
		known := 0
		for i := range 60 {
			known += len(b.Listeners(fmt.Sprint("/other/", i)))
		}
		if known != pubsub.MaxTopics {
			t.Errorf("%d topics of a neighbour are known, want %d", known, pubsub.MaxTopics)
		}
	})
}

// What is not signed by its author is not heard, and held against who brought it.
func TestUnsignedMessagesAreNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		b := bus(t, hs[0], carries)
		unsigned, _ := signer(t, hs[1], "chat", gossip.WithMessageSignaturePolicy(gossip.StrictNoSign), gossip.WithNoAuthor(), gossip.WithMessageIdFn(unique()))
		connect(t, hs[0], hs[1])
		heard, _ := hearing(t, b, "chat")
		settle()
		if err := unsigned.Publish(t.Context(), []byte("who says so?")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got, c := heard(), b.Counts(); len(got) > 0 || c.Rejected != 1 {
			t.Errorf("heard %+v, counts %+v", got, c)
		}
	})
}

// Who takes an update, signs it as applications do and is faster with that does not keep
// the update from being heard.
func TestASignatureAroundAnUpdateDoesNotHideIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 3)
		b := bus(t, hs[0], carries)
		forger, _ := signer(t, hs[1], topic)
		honest := newStranger(t, hs[2], topic)
		connect(t, hs[0], hs[1])
		connect(t, hs[0], hs[2])
		heard := listen(t, b)
		settle()
		u, data := sample(t, 1, time.Now())
		if err := forger.Publish(t.Context(), data); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got, c := heard.take(), b.Counts(); len(got) > 0 || c.Rejected != 1 {
			t.Fatalf("heard %+v, counts %+v", got, c)
		}
		honest.say(t, data)
		if got := heard.take(); len(got) != 1 || got[0] != u {
			t.Errorf("heard %+v, want %+v", got, u)
		}
	})
}

func TestASlowListenerLosesTheOldestAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus(t, hosts(t, 1)[0], carries)
		slow, err := b.Hear(t.Context(), "chat")
		if err != nil {
			t.Fatal(err)
		}
		quick, _ := hearing(t, b, "chat")
		for i := range 300 {
			if err := b.Say(t.Context(), "chat", fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if got := len(quick()); got != 300 {
			t.Errorf("the quick one heard %d", got)
		}
		if got := b.Counts().AppMissed; got != 300-256 {
			t.Errorf("%d missed", got)
		}
		for m, err := range slow {
			if err != nil || string(m.Data) != "44" {
				t.Errorf("the first of the slow one is %q, %v", m.Data, err)
			}
			break
		}
		wide, err := b.Hear(t.Context(), "wide") // by bytes the queue is full earlier
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := b.Say(t.Context(), "wide", append(fmt.Append(nil, i, " "), make([]byte, 16<<10-8)...)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		for m := range wide {
			if !bytes.HasPrefix(m.Data, []byte("36 ")) {
				t.Errorf("the first is %.8q", m.Data)
			}
			break
		}
	})
}

// A neighbour with any number of keys says 5,000 messages at once. What is too many is
// dropped before its signature is looked at, counted, and an update gets through.
func TestAFloodOnATopicIsCutDown(t *testing.T) {
	const flood = 5000
	for name, gated := range map[string]bool{"gated": true, "control: without the gate": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hs := hosts(t, 3)
				var more []gossip.Option
				if !gated {
					more = append(more, pubsub.Ungated())
				}
				b := opened(t)(pubsub.Open(t.Context(), hs[0], hs[0].Peerstore().PrivKey(hs[0].ID()), carries, pubsub.Validate, more...))
				author := bus(t, hs[2], carries)
				hostile, _ := signer(t, hs[1], "chat", gossip.WithPeerOutboundQueueSize(2*flood), gossip.WithValidateQueueSize(2*flood))
				connect(t, hs[0], hs[1])
				connect(t, hs[0], hs[2])
				heard, _ := hearing(t, b, "chat")
				updates := listen(t, b)
				settle()
				before := time.Now()
				for range flood {
					k, _, err := crypto.GenerateEd25519Key(nil)
					if err != nil {
						t.Fatal(err)
					}
					id, err := peer.IDFromPrivateKey(k)
					if err != nil {
						t.Fatal(err)
					}
					if err := hostile.Publish(t.Context(), []byte("flood"), gossip.WithSecretKeyAndPeerId(k, id)); err != nil {
						t.Fatal(err)
					}
				}
				said, err := author.Publish(t.Context(), pubsub.Update{Root: "r"})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				took := time.Since(before)
				got, c := len(heard()), b.Counts()
				most := 400 + int(took/(5*time.Millisecond))
				t.Logf("FIGURE %d of %d heard in %v, %d dropped at the gate or by author", got, flood, took, c.AppExcess)
				if gated && (got == 0 || got > most || int(c.AppExcess) < flood-most) {
					t.Errorf("%d of %d heard, %d dropped: want at most %d", got, flood, c.AppExcess, most)
				}
				if !gated && got <= most {
					t.Errorf("%d heard without the gate, want more than %d", got, most)
				}
				if us := updates.take(); gated && (len(us) != 1 || us[0] != said) {
					t.Errorf("of the update was heard %+v", us)
				}
			})
		})
	}
}

// One author is held to its pace whoever passes it on.
func TestOneAuthorIsHeldToItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		b := bus(t, hs[0], carries)
		loud, _ := signer(t, hs[1], "chat", gossip.WithPeerOutboundQueueSize(1000), gossip.WithValidateQueueSize(1000))
		connect(t, hs[0], hs[1])
		heard, _ := hearing(t, b, "chat")
		settle()
		for range 300 {
			if err := loud.Publish(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		got, c := len(heard()), b.Counts()
		if got < 100 || got > 200 || int(c.AppExcess) != 300-got {
			t.Errorf("%d heard, %d dropped of 300", got, c.AppExcess)
		}
	})
}
