package host_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node/host"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	lhost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// strangers makes so many connections to addr, the i-th from an address of loopback, says
// nothing on them, and counts those that are open when no more are refused. They end with t.
func strangers(t *testing.T, addr string, dials int, from func(i int) net.IP) (open int) {
	t.Helper()
	var mu sync.Mutex
	var all []net.Conn
	var wg sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i := range dials {
		slots <- struct{}{}
		wg.Go(func() { // ends with the dial; waited for by wg
			defer func() { <-slots }()
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from(i)}, Timeout: 5 * time.Second}
			c, err := d.Dial("tcp4", addr)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, c)
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, c := range all {
			_ = c.Close()
		}
	})
	for same, last := 0, -1; same < 8; same++ { // until no more are refused
		time.Sleep(100 * time.Millisecond)
		open = 0
		for _, c := range all {
			_ = c.SetReadDeadline(time.Now().Add(100 * time.Microsecond))
			var b [64]byte
			_, err := c.Read(b[:])
			if ne, ok := err.(net.Error); err == nil || ok && ne.Timeout() { //nolint:errorlint // of net itself
				open++
			}
		}
		if open != last {
			same, last = 0, open
		}
	}
	return open
}

// friend is a stream of a peer that listens nowhere.
func friend(t *testing.T, h lhost.Host) network.Stream {
	t.Helper()
	f, err := libp2p.New(libp2p.NoListenAddrs, libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return stream(t, f, h)
}

func stream(t *testing.T, from, to lhost.Host) network.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := from.Connect(ctx, peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()}); err != nil {
		t.Fatal(err)
	}
	s, err := from.NewStream(ctx, to.ID(), "/echo")
	if err != nil {
		t.Fatal(err)
	}
	said(t, s)
	return s
}

// said has a word answered on s.
func said(t *testing.T, s network.Stream) {
	t.Helper()
	_ = s.SetDeadline(time.Now().Add(20 * time.Second))
	var b [4]byte
	if _, err := s.Write([]byte("word")); err != nil {
		t.Error(err)
	} else if _, err := io.ReadFull(s, b[:]); err != nil || string(b[:]) != "word" {
		t.Errorf("%q, %v", b, err)
	}
}

// A storm of connections, from one neighbourhood or from everywhere, is refused beyond what it
// may have; who was there keeps all streams, and who comes afterwards is let in.
func TestAStormOfConnectionsCostsNobodyAStream(t *testing.T) {
	dials := 600
	if os.Getenv("CAIRN_LONG") != "" {
		dials = 5000
	}
	for name, c := range map[string]struct {
		from func(i int) net.IP
		most int
	}{
		"one address":       {func(int) net.IP { return net.IPv4(127, 9, 9, 9) }, 8},
		"one neighbourhood": {func(i int) net.IP { return net.IPv4(127, 8, 8, byte(1+i%250)) }, 32},
		"everywhere":        {func(i int) net.IP { return net.IPv4(127, byte(10+i%100), byte(i/100), byte(1+i%250)) }, 150},
	} {
		t.Run(name, func(t *testing.T) {
			key, _, err := crypto.GenerateEd25519Key(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			h, err := host.New(host.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Private: true})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			var lost atomic.Int64
			h.SetStreamHandler("/echo", func(s network.Stream) { _, _ = io.Copy(s, s) })
			var streams []network.Stream
			for range 6 {
				streams = append(streams, friend(t, h))
			}
			h.Network().Notify(&network.NotifyBundle{DisconnectedF: func(_ network.Network, c network.Conn) {
				if strings.HasPrefix(c.RemoteMultiaddr().String(), "/ip4/127.0.0.1/") {
					lost.Add(1)
				}
			}})
			before := rss(t)
			open := strangers(t, tcpOf(t, h), dials, c.from)
			grown := rss(t) - before
			for _, s := range streams {
				said(t, s)
			}
			t.Logf("FIGURE %s: %d dials, %d open, %d KiB more, %d friends lost", name, dials, open, grown>>10, lost.Load())
			if open > c.most {
				t.Errorf("%d connections are open, want at most %d", open, c.most)
			}
			if lost.Load() > 0 {
				t.Errorf("%d of those who were there were cut off", lost.Load())
			}
			if grown > 150<<20 {
				t.Errorf("the storm took %d bytes", grown)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			out := listener(t) // the peer can still reach others
			if err := h.Connect(ctx, peer.AddrInfo{ID: out.ID(), Addrs: out.Addrs()}); err != nil {
				t.Errorf("in the storm it reaches nobody: %v", err)
			}
		})
	}
}

// Where many peers are to share addresses, as in a testnet, the same storm comes in: the limits
// are what refuses it elsewhere. When it is over, who comes is let in at once.
func TestWithoutLimitsAStormComesIn(t *testing.T) {
	for _, c := range []struct{ perIP, least, most int }{{1000, 33, 1000}, {0, 1, 32}} {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		h, err := host.New(host.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Private: true, PerIP: c.perIP})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		h.SetStreamHandler("/echo", func(s network.Stream) { _, _ = io.Copy(s, s) })
		var open int
		t.Run("storm", func(t *testing.T) {
			open = strangers(t, tcpOf(t, h), 300, func(i int) net.IP { return net.IPv4(127, 8, 8, byte(1+i%250)) })
		})
		if open < c.least || open > c.most {
			t.Errorf("with %d for an address %d are open, want %d to %d", c.perIP, open, c.least, c.most)
		}
		over := time.Now()
		friend(t, h)
		t.Logf("FIGURE %d open of 300 with %d for an address; a friend is in %s after the storm", open, c.perIP, time.Since(over).Round(time.Millisecond))
	}
}

// listener is a peer that listens.
func listener(t *testing.T) lhost.Host {
	t.Helper()
	f, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func tcpOf(t *testing.T, h lhost.Host) string {
	t.Helper()
	port, err := h.Addrs()[0].ValueForProtocol(ma.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + port
}

// rss is the memory of this process in bytes, or 0 where that cannot be said.
func rss(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(data), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
