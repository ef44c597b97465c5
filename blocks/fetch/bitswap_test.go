package fetch_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/message"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"
)

func listen(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// meet connects a and b, and waits until each knows what the other speaks.
func meet(t *testing.T, a, b host.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := a.Connect(ctx, peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]host.Host{{a, b}, {b, a}} {
		for {
			if ps, _ := pair[0].Peerstore().GetProtocols(pair[1].ID()); len(ps) > 0 {
				break
			}
			if ctx.Err() != nil {
				t.Fatal("they do not know each other")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// swap is a peer of ours on h with what is in a store of its own.
func swap(t *testing.T, h host.Host, cfg fetch.BitswapConfig, has ...blocks.Block) *fetch.Bitswap {
	t.Helper()
	mem := new(blockstest.Mem)
	if err := mem.Put(t.Context(), has...); err != nil {
		t.Fatal(err)
	}
	s := fetch.NewBitswap(h, mem, cfg)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// kubo is a peer on h that speaks boxo's bitswap, as Kubo does.
func kubo(t *testing.T, h host.Host, has ...blocks.Block) *bitswap.Bitswap {
	t.Helper()
	mem := new(blockstest.Mem)
	if err := mem.Put(t.Context(), has...); err != nil {
		t.Fatal(err)
	}
	s := bitswap.New(context.Background(), bsnet.NewFromIpfsHost(h), nil, fetch.Blockstore{Store: mem})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var y = blocks.New(cid.Raw, []byte(strings.Repeat("y", 256<<10)))

// Strangers are given what is here, large or small, and not what is denied.
func TestStrangersAreServed(t *testing.T) {
	us, they := listen(t), listen(t)
	denied := blocks.New(cid.Raw, []byte("denied"))
	s := swap(t, us, fetch.BitswapConfig{Denied: func(c cid.Cid) bool { return c == denied.Cid() }}, x, y, denied)
	stranger := kubo(t, they)
	meet(t, they, us)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, want := range []blocks.Block{x, y} {
		got, err := stranger.GetBlock(ctx, want.Cid())
		if err != nil || string(got.RawData()) != string(want.RawData()) {
			t.Fatalf("got %v, %v", got, err)
		}
	}
	few, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := stranger.GetBlock(few, denied.Cid()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("what is denied: %v", err)
	}
	if n, want := s.Sent(), int64(len(x.RawData())+len(y.RawData())); n < want {
		t.Errorf("counted %d bytes, sent %d", n, want)
	}
}

// What only a stranger has comes from it, and what it has not costs no deadline. The control
// takes it for one of ours, and does not ask it.
func TestStrangersAreAsked(t *testing.T) {
	for name, own := range map[string]fetch.BitswapConfig{"a stranger": {Own: "/ours/1"}, "control": {Own: bsnet.ProtocolBitswap}} {
		us, they := listen(t), listen(t)
		s := swap(t, us, own)
		kubo(t, they, x, y)
		meet(t, us, they)
		f := fetch.New(us.ID(), new(blockstest.Mem), near{}, says{}, fetch.Config{Strangers: s})
		for _, want := range []blocks.Block{y, x} {
			got, err := f.Get(t.Context(), want.Cid())
			if name == "control" {
				if !blocks.IsNotFound(err) {
					t.Errorf("control: %v", err)
				}
				continue
			}
			if err != nil || string(got.RawData()) != string(want.RawData()) {
				t.Fatalf("got %v, %v", got, err)
			}
		}
		t0 := time.Now()
		_, err := f.Get(t.Context(), blocks.New(cid.Raw, []byte("nobody's")).Cid())
		if took := time.Since(t0); !blocks.IsNotFound(err) || took > 5*time.Second {
			t.Errorf("%s: what nobody has: %v after %v", name, err, took)
		}
	}
}

// Our own network is asked first: a stranger gets no question that a member can answer.
func TestStrangersAreAskedLast(t *testing.T) {
	asked := 0
	f := fetch.New("me", new(blockstest.Mem), near{"a"}, says{"a": after(0)}, fetch.Config{Strangers: want(func() { asked++ })})
	if _, err := f.Get(t.Context(), x.Cid()); err != nil || asked != 0 {
		t.Errorf("%v after asking %d strangers", err, asked)
	}
	f = fetch.New("me", new(blockstest.Mem), near{"a"}, says{"a": lacks}, fetch.Config{Strangers: want(func() { asked++ })})
	if _, err := f.Get(t.Context(), x.Cid()); err != nil || asked != 1 {
		t.Errorf("%v after asking %d strangers", err, asked)
	}
}

// want is a stranger that has x, and tells when it is asked.
type want func()

func (w want) Get(context.Context, cid.Cid) (blocks.Block, error) { w(); return x, nil }

// A stranger that says it has a block, and then sends another or nothing, costs a deadline;
// one that has it costs no more than the hedge to find behind it.
func TestStrangersThatLie(t *testing.T) {
	us, liar, friend := listen(t), listen(t), listen(t)
	s := swap(t, us, fetch.BitswapConfig{Timeout: 3 * time.Second, Hedge: 200 * time.Millisecond})
	answer := bsnet.NewFromIpfsHost(liar)
	answer.Start(&lies{say: func(ctx context.Context, to peer.ID, m message.BitSwapMessage) {
		for _, e := range m.Wantlist() {
			out := message.New(false)
			out.AddHave(e.Cid)
			out.AddBlock(blocks.New(cid.Raw, []byte("something else")))
			_ = answer.SendMessage(ctx, to, out)
		}
	}})
	t.Cleanup(answer.Stop)
	meet(t, us, liar)
	t0 := time.Now()
	if _, err := s.Get(t.Context(), x.Cid()); !blocks.IsNotFound(err) {
		t.Fatalf("err = %v", err)
	}
	if took := time.Since(t0); took < 3*time.Second || took > 15*time.Second {
		t.Errorf("took %v, want the deadline of three seconds", took)
	}
	kubo(t, friend, y)
	meet(t, us, friend)
	if b, err := s.Get(t.Context(), y.Cid()); err != nil || b.Cid() != y.Cid() {
		t.Errorf("beside a liar: %v", err)
	}
}

// lies hears questions and answers them as say does.
type lies struct {
	say func(context.Context, peer.ID, message.BitSwapMessage)
}

func (l *lies) ReceiveMessage(ctx context.Context, p peer.ID, m message.BitSwapMessage) {
	l.say(ctx, p, m)
}
func (*lies) ReceiveError(error)       {}
func (*lies) PeerConnected(peer.ID)    {}
func (*lies) PeerDisconnected(peer.ID) {}

// Close ends all that was begun, and the names it answered to are gone.
func TestBitswapLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	a, b := listen(t), listen(t)
	sa, sb := swap(t, a, fetch.BitswapConfig{}), swap(t, b, fetch.BitswapConfig{}, y)
	meet(t, a, b)
	if _, err := sa.Get(t.Context(), y.Cid()); err != nil {
		t.Fatal(err)
	}
	if _, err := sa.Get(t.Context(), x.Cid()); !blocks.IsNotFound(err) {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); sa.Received() != sb.Sent() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // what is sent is counted once it has gone
	}
	if sa.Received() != sb.Sent() {
		t.Errorf("%d bytes came of %d", sa.Received(), sb.Sent())
	}
	for _, s := range []*fetch.Bitswap{sa, sb} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, id := range a.Mux().Protocols() {
		if strings.Contains(string(id), "bitswap") {
			t.Errorf("%s is answered after the end", id)
		}
	}
	for _, h := range []host.Host{a, b} {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	err := goleak.Find(before)
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); {
		err = goleak.Find(before)
	}
	if err != nil {
		t.Error(err)
	}
}
