package wire

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	mh "github.com/multiformats/go-multihash"
)

// near are the holders of every block.
type near []peer.ID

func (n near) Closest(context.Context, mh.Multihash, int) ([]peer.ID, bool, error) {
	return n, true, nil
}

func (n near) Afresh(context.Context, mh.Multihash, int) ([]peer.ID, error) { return n, nil }

// cutAt is a server that answers each Get with what is asked for, and resets its stream after
// n bytes of the answer.
func cutAt(n int, of map[string]blocks.Block) func(network.Stream) {
	return func(s network.Stream) {
		defer s.Reset()
		m, err := newLink(s).next(timeout)
		if err != nil {
			return
		}
		g, ok := m.(*get)
		if !ok {
			return
		}
		var out []byte
		for i, it := range g.items {
			b := of[string(it.hash)].RawData()
			out = append(append(out, frames(&data{uint32(i), uint32(len(b))})...), b...)
		}
		_, _ = s.Write(out[:min(n, len(out))])
		time.Sleep(100 * time.Millisecond) // so that it arrives before the reset
	}
}

// While one holder is honest every get is answered, with the right bytes, whatever the other
// does at whichever message; that one commits three offences at most, and nothing is left.
func TestGetsAreAnsweredWhileOneHolderIsHonest(t *testing.T) {
	const size, gets = 20 << 10, 40
	of := map[string]blocks.Block{}
	var all []blocks.Block
	for i := range gets {
		b := blocks.New(cid.Raw, blockstest.Random(uint64(i), size))
		all = append(all, b)
		of[string(b.Hash())] = b
	}
	head := len(frames(&data{0, size}))
	bad := map[string]func(network.Stream){
		"honest (control)": nil,
		"a byte a second":  trickles(frames(&data{0, size})),
		"hears, says nothing": func(s network.Stream) { // until it is let go
			l := newLink(s)
			for {
				if _, err := l.next(time.Hour); err != nil {
					return
				}
			}
		},
		"wrong bytes":          says(append(frames(&data{0, 4}), "evil"...)),
		"data not asked for":   says(append(frames(&data{999, 4}), "good"...)),
		"misses not asked for": says(frames(&miss{idx: 999})),
		"ends at once":         says(nil),
	}
	for _, n := range []int{0, 1, head - 1, head, head + 1, head + size - 1, head + size, head + size + 1, 2*head + size, 2 * (head + size)} {
		bad[fmt.Sprintf("reset after %d bytes", n)] = cutAt(n, of)
	}
	for name, serve := range bad {
		t.Run(name, func(t *testing.T) {
			lies := map[string]bool{"wrong bytes": true, "data not asked for": true, "misses not asked for": true}[name]
			synctest.Test(t, func(t *testing.T) { oneIsHonest(t, serve, lies, all) })
		})
	}
}

// oneIsHonest gets all of a peer that serves and an honest one, in a bubble, which ends only
// when every goroutine has. Who lies is to be refused, and nobody else.
func oneIsHonest(t *testing.T, serve func(network.Stream), lies bool, all []blocks.Block) {
	line := simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps}
	sim, meta, err := simlibp2p.SimpleLibp2pNetwork([]simlibp2p.NodeLinkSettingsAndCount{{
		LinkSettings: simnet.NodeBiDiLinkSettings{Downlink: line, Uplink: line}, Count: 3,
	}}, simnet.StaticLatency(10*time.Millisecond), simlibp2p.NetworkSettings{})
	if err != nil {
		t.Fatal(err)
	}
	sim.Start()
	asker, bad, honest := meta.Nodes[0], meta.Nodes[1], meta.Nodes[2]
	defer func() { _, _, _ = asker.Close(), bad.Close(), honest.Close(); sim.Close() }()
	mem := new(blockstest.Mem)
	if err := mem.Put(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	defer Serve(honest, mem, mem, keeper{mem}, Config{})()
	if serve == nil {
		defer Serve(bad, mem, mem, keeper{mem}, Config{})()
	} else {
		bad.SetStreamHandler(Protocol, serve)
	}
	for _, h := range []host.Host{bad, honest} {
		if err := asker.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
			t.Fatal(err)
		}
	}
	conduct := NewConduct(nil)
	c := NewClient(asker, Config{Conduct: conduct})
	f := fetch.New(asker.ID(), new(blockstest.Mem), near{bad.ID(), honest.ID()}, c, fetch.Config{Rand: rand.New(rand.NewPCG(1, 2))})
	t0, wrong := time.Now(), 0
	for _, b := range all {
		got, err := f.Get(t.Context(), b.Cid())
		if err != nil {
			t.Fatalf("after %v: %v", time.Since(t0), err)
		}
		if !bytes.Equal(got.RawData(), b.RawData()) {
			wrong++
		}
		time.Sleep(700 * time.Millisecond) // so that who failed is tried again
	}
	if wrong > 0 {
		t.Errorf("%d wrong blocks", wrong)
	}
	if offences(conduct, honest.ID()) > 0 {
		t.Error("the honest one is blamed")
	}
	blamed := offences(conduct, bad.ID())
	if blamed > tolerated || conduct.Refused(bad.ID()) != lies {
		t.Errorf("%d offences, refused %t, want %t", blamed, conduct.Refused(bad.ID()), lies)
	}
	t.Logf("FIGURE %d gets in %v, %d offences, refused %t", len(all), time.Since(t0).Round(time.Millisecond), blamed, conduct.Refused(bad.ID()))
	time.Sleep(longest + timeout)
	unused(t, c)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
