package pubsub_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/pubsub"
	"github.com/libp2p/go-libp2p"
	"go.uber.org/goleak"
)

// 0 - 1 - 2 - 3 - 4 - 5 - 6 - 7
func TestAnUpdateReachesEverybodyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 8)
		var buses []*pubsub.Bus
		var ears []*ear
		for i, h := range hs {
			buses = append(buses, bus(t, h, pubsub.Config{}))
			ears = append(ears, listen(t, buses[i]))
			if i > 0 {
				connect(t, hs[i-1], h)
			}
		}
		settle()
		said, err := buses[0].Publish(t.Context(), pubsub.Update{Root: "bafyroot", Name: "a file", Size: 7})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		for i, e := range ears {
			if got := e.take(); len(got) != 1 || got[0] != said {
				t.Errorf("peer %d heard %+v\nwant %+v once", i, got, said)
			}
			if got, want := buses[i].Peers(), 2; got != want && i > 0 && i < 7 || got == 0 {
				t.Errorf("peer %d has %d peers in its mesh, want its neighbours", i, got)
			}
			if c := buses[i].Counts(); c != (pubsub.Counts{Heard: 1}) {
				t.Errorf("peer %d counts %+v", i, c)
			}
		}
		if said.From != hs[0].ID() || said.Root != "bafyroot" || said.Expires.Sub(said.Time) != time.Hour || time.Since(said.Time) > time.Minute {
			t.Errorf("said %+v", said)
		}
	})
}

func TestAPeerThatLeavesIsCountedNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		a, b := bus(t, hs[0], pubsub.Config{}), bus(t, hs[1], pubsub.Config{})
		connect(t, hs[0], hs[1])
		settle()
		if a.Peers() != 1 || b.Peers() != 1 {
			t.Fatalf("%d and %d peers, want 1", a.Peers(), b.Peers())
		}
		_ = hs[1].Close()
		time.Sleep(time.Minute)
		if a.Peers() != 0 {
			t.Errorf("%d peers, want none", a.Peers())
		}
	})
}

func TestNetworksDoNotHearEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		a, b := bus(t, hs[0], pubsub.Config{}), bus(t, hs[1], pubsub.Config{Network: "other"})
		heard := listen(t, b)
		connect(t, hs[0], hs[1])
		settle()
		if _, err := a.Publish(t.Context(), pubsub.Update{Root: "r"}); err != nil {
			t.Fatal(err)
		}
		settle()
		if got := heard.take(); len(got) > 0 {
			t.Errorf("heard %+v", got)
		}
	})
}

func TestSequenceGrowsOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hosts(t, 1)[0]
		var last uint64
		for run := range 3 {
			b, err := pubsub.New(t.Context(), h, h.Peerstore().PrivKey(h.ID()), pubsub.Config{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 15 {
				u, err := b.Publish(t.Context(), pubsub.Update{Root: "r"})
				if err != nil {
					t.Fatal(err)
				}
				if u.Seq <= last {
					t.Fatalf("run %d, update %d: sequence %d after %d", run, i, u.Seq, last)
				}
				last = u.Seq
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // gossipsub ends
		}
	})
}

// The stranger gives us back an update of our own, from when our clock was ahead.
func TestSequenceGrowsPastWhatWeHearOfOurselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		k, _ := key(t, 1)
		b := opened(t)(pubsub.New(t.Context(), hs[0], k, pubsub.Config{}))
		s := newStranger(t, hs[1], topic)
		connect(t, hs[0], hs[1])
		settle()
		earlier, data := sample(t, 1, time.Now().Add(9*time.Minute))
		s.say(t, data)
		u, err := b.Publish(t.Context(), pubsub.Update{Root: "r"})
		if err != nil || u.Seq != earlier.Seq+1 {
			t.Errorf("sequence %d, %v, want %d", u.Seq, err, earlier.Seq+1)
		}
	})
}

func TestPublishKeepsThePaceThatOthersAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		a, b := bus(t, hs[0], pubsub.Config{}), bus(t, hs[1], pubsub.Config{})
		heard := listen(t, b)
		connect(t, hs[0], hs[1])
		settle()
		start := time.Now()
		for range 110 {
			if _, err := a.Publish(t.Context(), pubsub.Update{Root: "r"}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %s, want 10s: ten at once, then ten a second", took)
		}
		time.Sleep(time.Second)
		if got := len(heard.take()); got != 110 {
			t.Errorf("heard %d of 110", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Publish(ctx, pubsub.Update{Root: "r"}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
	})
}

func TestManyMayPublishOnOneBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := hosts(t, 2)
		a, b := bus(t, hs[0], pubsub.Config{}), bus(t, hs[1], pubsub.Config{})
		heard := listen(t, b)
		connect(t, hs[0], hs[1])
		settle()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 10 {
					if _, err := a.Publish(t.Context(), pubsub.Update{Root: "r"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		got := heard.take()
		if len(got) != 100 {
			t.Errorf("heard %d of 100", len(got))
		}
		for i := range len(got) - 1 {
			if got[i].Seq >= got[i+1].Seq {
				t.Errorf("heard %d before %d", got[i].Seq, got[i+1].Seq)
			}
		}
	})
}

func TestPublishRefusesWhatOthersWould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus(t, hosts(t, 1)[0], pubsub.Config{MaxMessage: 300})
		long := strings.Repeat("x", 255)
		for _, c := range []struct {
			u    pubsub.Update
			want string
		}{
			{pubsub.Update{}, "root of 0 bytes"},
			{pubsub.Update{Root: "a b"}, "not printable"},
			{pubsub.Update{Root: long + "x"}, "root of 256 bytes"},
			{pubsub.Update{Root: "r", Name: long + "x"}, "name of 256 bytes, limit 255"},
			{pubsub.Update{Root: "r", Name: "a\nb"}, "control character"},
			{pubsub.Update{Root: "r", Name: "\xff"}, "not UTF-8"},
			{pubsub.Update{Root: "r", Size: -1}, "size of -1"},
			{pubsub.Update{Root: long, Name: long}, "bytes encoded, limit 300"},
		} {
			_, err := b.Publish(t.Context(), c.u)
			if !errors.Is(err, pubsub.ErrBadUpdate) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a bad update: %s", err, c.want)
			}
		}
		if _, err := b.Publish(t.Context(), pubsub.Update{Root: "r"}); err != nil {
			t.Errorf("a good one: %v", err)
		}
		time.Sleep(time.Second)
		if c := b.Counts(); c != (pubsub.Counts{Heard: 1}) {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestASlowReaderLosesTheOldestAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus(t, hosts(t, 1)[0], pubsub.Config{})
		slow := b.Updates(t.Context())
		quick := listen(t, b)
		var said []pubsub.Update
		for range 300 {
			u, err := b.Publish(t.Context(), pubsub.Update{Root: "r"})
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, u)
		}
		time.Sleep(time.Second)
		if got := len(quick.take()); got != 300 {
			t.Errorf("the quick reader heard %d of 300", got)
		}
		var got []pubsub.Update
		for u, err := range slow {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, u); len(got) == 256 {
				break
			}
		}
		if got[0] != said[44] || got[255] != said[299] {
			t.Errorf("the slow reader heard %d to %d, want the last 256", got[0].Seq, got[255].Seq)
		}
		if c := b.Counts(); c.Missed != 44 {
			t.Errorf("missed %d, want 44", c.Missed)
		}
	})
}

func TestReadersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hosts(t, 1)[0]
		b, err := pubsub.New(t.Context(), h, h.Peerstore().PrivKey(h.ID()), pubsub.Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for u, err := range b.Updates(ctx) {
			t.Errorf("got %+v, %v before ctx was done", u, err)
		}

		last := b.Updates(t.Context())
		if _, err := b.Publish(t.Context(), pubsub.Update{Root: "r"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for range 2 {
			if err := b.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		var got []error
		for _, err := range last {
			got = append(got, err)
		}
		if len(got) != 2 || got[0] != nil || !errors.Is(got[1], pubsub.ErrClosed) {
			t.Errorf("got %v, want one update and then ErrClosed", got)
		}
		if _, err := b.Publish(t.Context(), pubsub.Update{Root: "r"}); !errors.Is(err, pubsub.ErrClosed) {
			t.Errorf("publish: %v, want ErrClosed", err)
		}
	})
}

func TestBadConfigIsRefused(t *testing.T) {
	k, _ := key(t, 1)
	for _, cfg := range []pubsub.Config{
		{Network: "a/b"}, {Network: "a\n"}, {Network: strings.Repeat("n", 64)},
		{Life: pubsub.MaxLife + 1}, {Life: -1}, {MaxMessage: -1},
	} {
		if _, err := pubsub.New(t.Context(), nil, k, cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// On a real host and in real time, where no bubble looks for leaks.
func TestCloseLeavesNothingRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := pubsub.New(context.Background(), h, h.Peerstore().PrivKey(h.ID()), pubsub.Config{Local: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), pubsub.Update{Root: "r"}); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	err = goleak.Find(before)
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); {
		err = goleak.Find(before)
	}
	if err != nil {
		t.Error(err)
	}
}
