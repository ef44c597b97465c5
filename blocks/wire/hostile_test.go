package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

var good = blocks.New(cid.Raw, []byte("good"))

// frames is ms as they go over the wire.
func frames(ms ...message) (b []byte) {
	for _, m := range ms {
		e := encode(nil, m)
		b = append(binary.AppendUvarint(b, uint64(len(e))), e...)
	}
	return b
}

// says is a server that hears the first question, says what it says, and ends.
func says(b []byte) func(network.Stream) {
	return func(s network.Stream) {
		_, _ = newLink(s).next(timeout)
		_, _ = s.Write(b)
		_ = s.CloseWrite()
	}
}

// trickles is one that says b and then a byte a second.
func trickles(b []byte) func(network.Stream) {
	return func(s network.Stream) {
		_, _ = newLink(s).next(timeout)
		for _, err := s.Write(b); err == nil; _, err = s.Write([]byte{0}) {
			time.Sleep(time.Second)
		}
	}
}

// A server that lies, is silent, trickles or claims endless lengths costs an error and a
// bounded time, never wrong bytes; what breaks the rules is counted, what is merely broken is not.
func TestHostileServersAreErrorsInTime(t *testing.T) {
	for name, tt := range map[string]struct {
		serve    func(network.Stream)
		offences int
	}{
		"wrong bytes":            {says(append(frames(&data{0, 4}), "evil"...)), 1},
		"length 2^63":            {says(binary.AppendUvarint(nil, 1<<63)), 1},
		"length 2^31":            {says(binary.AppendUvarint(nil, 1<<31)), 1},
		"a frame too long":       {says(append(binary.AppendUvarint(nil, maxFrame+1), make([]byte, maxFrame+1)...)), 1},
		"a block too large":      {says(frames(&data{0, blocks.MaxSize + 1})), 1},
		"a block not asked for":  {says(append(frames(&data{1, 4}), "good"...)), 1},
		"a miss not asked for":   {says(frames(&miss{idx: 1})), 1},
		"another message":        {says(frames(&want{})), 1},
		"no message":             {says([]byte{1, 0xff}), 1},
		"short":                  {says(append(frames(&data{0, 4}), "go"...)), 0},
		"nothing":                {says(nil), 0},
		"busy":                   {says(frames(&busy{10})), 0},
		"silence":                {func(network.Stream) {}, 0},
		"reset":                  {func(s network.Stream) { _ = s.Reset() }, 0},
		"one byte, then silence": {trickles([]byte{5}), 1}, // the zeros make a frame of nothing
		"a byte a second":        {trickles(frames(&data{0, 1 << 20})), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := pair(t, func(h host.Host) { h.SetStreamHandler(Protocol, tt.serve) })
				c.cfg.Conduct = NewConduct(nil)
				t0 := time.Now()
				if got, err := c.Fetch(t.Context(), p, good.Cid()); err == nil {
					t.Errorf("got %q", got.RawData())
				}
				if d := time.Since(t0); d > timeout+2*time.Second {
					t.Errorf("took %v", d)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if n := offences(c.cfg.Conduct, p); n != tt.offences {
					t.Errorf("%d offences, want %d", n, tt.offences)
				}
				unused(t, c)
				time.Sleep(timeout) // the server's part ends
			})
		})
	}
}

// unused fails the test unless c has no stream and nothing reserved.
func unused(t *testing.T, c *Client) {
	t.Helper()
	synctest.Wait()
	if n := streams(c.host); n > 0 || c.room.free != globalCredit || len(c.gets) > 0 {
		t.Errorf("%d streams and %d gets left, %d bytes reserved", n, len(c.gets), globalCredit-c.room.free)
	}
}

func streams(h host.Host) (n int) {
	for _, conn := range h.Network().Conns() {
		for _, s := range conn.GetStreams() {
			if s.Protocol() == Protocol {
				n++
			}
		}
	}
	return n
}

// Who is offered blocks and then lies, hangs or goes away at any message costs an error
// and a bounded time, and each item has at most one end.
func TestHostileTakersAreErrorsInTime(t *testing.T) {
	yes := &want{bitmap: []byte{3}, credit: 1 << 20}
	for name, serve := range map[string]func(network.Stream){
		"silence":                    func(network.Stream) {},
		"reset":                      func(s network.Stream) { _ = s.Reset() },
		"end before want":            says(nil),
		"end after want":             says(frames(yes)),
		"end before the second ack":  says(frames(yes, &ack{idx: 0, status: uint32(Stored)})),
		"silence after want":         func(s network.Stream) { _, _ = s.Write(frames(yes)) },
		"no credit ever":             func(s network.Stream) { _, _ = s.Write(frames(&want{bitmap: []byte{3}})) },
		"want without end":           says(frames(&want{bitmap: []byte{255}, credit: 1})),
		"a long bitmap":              says(frames(&want{bitmap: []byte{3, 0}})),
		"no bitmap":                  says(frames(&want{})),
		"deny of what is wanted":     says(frames(&want{bitmap: []byte{3}, deny: []deny{{idx: 0, status: uint32(Full)}}})),
		"deny of nothing":            says(frames(&want{bitmap: []byte{0}, deny: []deny{{idx: 2, status: uint32(Full)}}})),
		"deny twice":                 says(frames(&want{bitmap: []byte{0}, deny: []deny{{idx: 0, status: uint32(Full)}, {idx: 0, status: uint32(Full)}}})),
		"deny as stored":             says(frames(&want{bitmap: []byte{0}, deny: []deny{{idx: 0, status: uint32(Stored)}}})),
		"stored, but not wanted":     says(frames(&want{bitmap: []byte{0}}, &ack{idx: 0, status: uint32(Stored)})),
		"two acks":                   says(frames(yes, &ack{idx: 0, status: uint32(Stored)}, &ack{idx: 0, status: uint32(Stored)})),
		"ack of nothing":             says(frames(yes, &ack{idx: 2, status: uint32(Stored)})),
		"ack for another, unasked":   says(frames(yes, &ack{idx: 0, status: uint32(Stored), peer: []byte("x")})),
		"ack without a status":       says(frames(yes, &ack{idx: 0})),
		"endless credit":             says(frames(yes, &credit{1 << 62})),
		"credit of more than is had": says(frames(&want{bitmap: []byte{3}, credit: 1 << 40})),
		"data":                       says(frames(yes, &data{})),
		"a byte a second":            trickles(frames(yes)[:3]),
		"does not read": func(s network.Stream) {
			_, _ = s.Write(frames(yes))
			time.Sleep(time.Minute)
			_ = s.Reset()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := pair(t, func(h host.Host) { h.SetStreamHandler(Protocol, serve) })
				mem := new(blockstest.Mem)
				var items []Item
				for i := range 2 {
					b := blocks.New(cid.Raw, blockstest.Random(uint64(i), 300<<10))
					_ = mem.Put(t.Context(), b)
					items = append(items, Item{Hash: b.Hash(), Size: 300 << 10})
				}
				t0, ends := time.Now(), [2]int{}
				err := c.Offer(t.Context(), p, lease(t, good.Cid()), Put, items, mem, func(i int, _ Ack) { ends[i]++ })
				if err == nil || ends[0] > 1 || ends[1] > 1 {
					t.Errorf("%v, ends %v", err, ends)
				}
				if d := time.Since(t0); d > longest+timeout {
					t.Errorf("took %v", d)
				}
				unused(t, c)
				time.Sleep(time.Minute) // the server's part ends
			})
		})
	}
}

// An asker that breaks the rules, hangs or goes away at any message is let go of in time;
// nothing stays reserved, nothing wrong is kept, and the next one is answered.
func TestHostileAskersAreLetGo(t *testing.T) {
	for name := range askers(blocks.Lease{}) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { hostile(t, askers(lease(t, good.Cid()))[name]) })
		})
	}
}

var large = blocks.New(cid.Raw, blockstest.Random(1, blocks.MaxSize))

// asker is what somebody says, who is then silent or goes on byte by byte.
type asker struct {
	says     []byte
	offences int
	trickle  bool
}

func askers(l blocks.Lease) map[string]asker {
	one := &offer{items: []item{{hash: good.Hash(), size: 4}}, record: l.Marshal()}
	ask := &get{items: []item{{hash: large.Hash()}}, credit: 16 << 20}
	var fat []item
	for range Batch {
		fat = append(fat, item{hash: large.Hash()})
	}
	return map[string]asker{
		"nothing":                 {nil, 0, false},
		"one byte":                {[]byte{9}, 0, false},
		"a length of 2^63":        {binary.AppendUvarint(nil, 1<<63), 1, false},
		"an answer":               {frames(&want{}), 1, false},
		"an offer of nothing":     {frames(&offer{record: l.Marshal()}), 1, false},
		"an offer, no more":       {frames(one), 0, false},
		"data not wanted":         {append(frames(one, &data{1, 4}), "good"...), 1, false},
		"another length":          {append(frames(one, &data{0, 3}), "goo"...), 1, false},
		"twice":                   {append(append(frames(one, &data{0, 4}), "good"...), append(frames(&data{0, 4}), "good"...)...), 0, false},
		"poison":                  {append(frames(one, &data{0, 4}), "evil"...), tolerated, false},
		"half of the data":        {append(frames(one, &data{0, 4}), "go"...), 0, false},
		"data by the byte":        {frames(&offer{items: []item{{hash: large.Hash(), size: blocks.MaxSize}}, record: l.Marshal()}, &data{0, blocks.MaxSize}), 0, true},
		"cancel of what is not":   {frames(one, &cancel{1}), 1, false},
		"a get in an offer":       {frames(one, ask), 1, false},
		"a get that is not read":  {frames(ask), 0, false},
		"a get without credit":    {frames(&get{items: ask.items}), 0, false},
		"a get of nothing":        {frames(&get{credit: 1}), 1, false},
		"wants without end":       {frames(&get{items: fat}, &get{items: fat}, &get{items: fat}), 1, false},
		"credit without end":      {frames(ask, &credit{1 << 60}), 1, false},
		"cancel of the future":    {frames(ask, &cancel{1}), 1, false},
		"a proof without a nonce": {frames(&have{keys: []mh.Multihash{good.Hash()}, prove: []uint32{0}}), 1, false},
	}
}

func hostile(t *testing.T, tt asker) {
	ctx, mem := t.Context(), new(blockstest.Mem)
	seen := blocks.New(cid.Raw, []byte("seen"))
	if err := mem.Put(ctx, seen, large); err != nil {
		t.Fatal(err)
	}
	sv := newService(mem, mem, keeper{mem}, Config{Conduct: NewConduct(nil)})
	if tt.trickle {
		sv.st = new(blockstest.Mem) // so that it is wanted
		sv.keeper = keeper{new(blockstest.Mem)}
	}
	var server host.Host
	c, p := pair(t, func(h host.Host) { server = h; t.Cleanup(sv.serve(h)) })
	s, err := c.host.NewStream(ctx, p, Protocol)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(tt.says); err != nil {
		t.Fatal(err)
	}
	for t0 := time.Now(); tt.trickle && time.Since(t0) < 2*timeout; time.Sleep(time.Second) {
		_, _ = s.Write([]byte{0})
	}
	time.Sleep(longest + timeout)
	synctest.Wait()
	if n := streams(server); n > 0 || sv.room.free != globalCredit || len(sv.turns.line) > 0 {
		t.Errorf("%d streams left, %d bytes reserved, %d in line", n, globalCredit-sv.room.free, len(sv.turns.line))
	}
	if n := offences(sv.cfg.Conduct, c.host.ID()); n != tt.offences {
		t.Errorf("%d offences, want %d", n, tt.offences)
	}
	_ = s.Reset()
	if b, err := mem.Get(ctx, good.Cid()); err == nil && string(b.RawData()) != "good" {
		t.Error("poison was kept")
	}
	if tt.offences < tolerated && !tt.trickle {
		if _, err := c.Fetch(ctx, p, seen.Cid()); err != nil {
			t.Errorf("the next one: %v", err)
		}
	} else if _, err := c.Fetch(ctx, p, seen.Cid()); err == nil {
		t.Error("one that is refused was answered")
	}
}

// A slow link is not a dead one: at 200 kbit/s a block of 1 MiB comes and goes.
func TestASlowLinkLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, mem := t.Context(), new(blockstest.Mem)
		c, p := pairAt(t, 200_000, func(h host.Host) { t.Cleanup(Serve(h, mem, mem, keeper{mem}, Config{})) })
		b := blocks.New(cid.Raw, blockstest.Random(1, 1<<20))
		t0 := time.Now()
		if sent, err := c.Store(ctx, p, lease(t, b.Cid()), b); err != nil || !sent {
			t.Fatalf("put after %v: %v", time.Since(t0), err)
		}
		if _, err := c.Fetch(ctx, p, b.Cid()); err != nil {
			t.Fatalf("get after %v: %v", time.Since(t0), err)
		}
		if d := time.Since(t0); d < time.Minute {
			t.Errorf("took %v: that was not slow", d)
		}
	})
}

// Three wrong blocks, and a peer is asked no more for an hour.
func TestThreeWrongBlocksAndAPeerIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := pair(t, func(h host.Host) {
			h.SetStreamHandler(Protocol, says(append(frames(&data{0, 4}), "evil"...)))
		})
		var refused atomic.Int32
		c.cfg.Conduct = NewConduct(func(q peer.ID, d time.Duration) {
			if q != p || d != time.Hour {
				t.Errorf("%s refused for %v", q, d)
			}
			refused.Add(1)
		})
		for i := range 5 {
			_, err := c.Fetch(t.Context(), p, good.Cid())
			var no *Refusal
			if asked := i < tolerated; asked != errors.Is(err, blocks.ErrMismatch) || asked == errors.As(err, &no) {
				t.Errorf("fetch %d: %v", i, err)
			}
		}
		if refused.Load() != 1 {
			t.Errorf("told %d times", refused.Load())
		}
		time.Sleep(time.Hour + time.Second)
		if _, err := c.Fetch(t.Context(), p, good.Cid()); !errors.Is(err, blocks.ErrMismatch) {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// script is a link that reads in and forgets what it is sent.
func script(in []byte) *link {
	return &link{r: bufio.NewReader(bytes.NewReader(in)), w: io.Discard, pen: make(chan struct{}, 1),
		readBy: func(time.Duration) {}, writeBy: func(time.Duration) {}, reset: func() {}}
}

// No bytes from a stranger can make the server panic, or put a block into the
// store that is not what its key says.
func FuzzAnswer(f *testing.F) {
	l := lease(f, good.Cid())
	f.Add(append(frames(&offer{items: []item{{hash: good.Hash(), size: 4}}, record: l.Marshal()}, &data{0, 4}), "good"...))
	f.Add(frames(&get{items: []item{{hash: good.Hash()}}, credit: 2 << 20}, &credit{1}, &cancel{0}))
	f.Add(frames(&have{keys: []mh.Multihash{good.Hash()}, nonce: make([]byte, nonceSize), prove: []uint32{0}}, &leases{good.Hash()}))
	f.Fuzz(func(t *testing.T, in []byte) {
		mem := new(blockstest.Mem)
		x := exchange{service: newService(mem, mem, keeper{mem}, Config{}), l: script(in)}
		if err := x.guarded(t.Context()); err != nil && bytes.Contains([]byte(err.Error()), []byte("panic")) {
			t.Fatal(err)
		}
		if x.room.free != globalCredit || len(x.turns.line) > 0 {
			t.Fatal("something is left reserved")
		}
		for h := range mem.All(t.Context()) {
			got, err := mem.Get(t.Context(), blocks.Key(h))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := blocks.Check(blocks.Key(h), got.RawData()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// No answers from a stranger can make the asker panic, hang or take bytes that it has
// not asked for.
func FuzzAsker(f *testing.F) {
	f.Add(append(frames(&data{0, 4}), frames(&miss{idx: 1})...))
	f.Add(frames(&want{bitmap: []byte{1}, credit: 9}, &ack{idx: 0, status: uint32(Stored)}, &ack{idx: 1, status: uint32(Have)}))
	l := lease(f, good.Cid())
	f.Fuzz(func(t *testing.T, in []byte) {
		g := newGetting("p", newBudget(0))
		g.reserve(blocks.MaxSize)
		for range 2 {
			if _, err := g.want(t.Context(), good.Hash()); err != nil {
				t.Fatal(err)
			}
		}
		g.news()
		if err := g.speak(t.Context(), script(in)); err == nil {
			t.Error("an end without a reason")
		}
		if len(g.wants)+len(g.slots) > 4 || g.here > g.reserved {
			t.Errorf("%d wants, %d slots, %d bytes", len(g.wants), len(g.slots), g.here)
		}
		ends := [2]int{}
		o := newOffering(script(in), []Item{{Hash: good.Hash(), Size: 4}, {Hash: good.Hash(), Size: 4}}, func(i int, _ Ack) { ends[i]++ })
		if err := o.run(t.Context(), l, Put, lent{good}); err == nil && ends != [2]int{1, 1} || ends[0] > 1 || ends[1] > 1 {
			t.Errorf("%v with the ends %v", err, ends)
		}
	})
}
