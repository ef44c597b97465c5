package dht

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// talkers is how many streams one peer may have here, and all together.
const (
	talkersEach = 4
	talkersAll  = 1024
)

// desk answers what others ask. It is what a conversation needs, and no more.
type desk struct {
	hello func(Hello) Hello
	near  func(nearReq) nearAns
	probe func(peer.ID) bool
}

// converse answers until the other side ends, or errs. more gives it time for its
// next request.
func (d desk) converse(rw io.ReadWriter, more func()) error {
	in := bufio.NewReaderSize(rw, maxRequest)
	for {
		more()
		if _, err := in.Peek(1); err == io.EOF {
			return nil
		}
		m, err := readMessage(in, maxRequest)
		if err != nil {
			return err
		}
		var answer message
		switch m := m.(type) {
		case Hello:
			answer = d.hello(m)
		case nearReq:
			answer = d.near(m)
		case probeReq:
			answer = probeAns{d.probe(m.peer)}
		default:
			return fmt.Errorf("%w: an answer to nothing", errForm)
		}
		if _, err := rw.Write(appendMessage(nil, answer)); err != nil {
			return fmt.Errorf("dht: answer: %w", err)
		}
	}
}

// serve answers the view protocol until stop is called; stop waits for the answers under way.
func (r *Router) serve() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var wg sync.WaitGroup // ended by cancel
	talking, all := map[peer.ID]int{}, 0
	enter := func(p peer.ID, by int) bool {
		mu.Lock()
		defer mu.Unlock()
		if by > 0 && (talking[p] >= talkersEach || all >= talkersAll || ctx.Err() != nil) {
			return false
		}
		all += by
		if talking[p] += by; talking[p] == 0 {
			delete(talking, p)
		}
		if by > 0 {
			wg.Add(1)
		}
		return true
	}
	r.host.SetStreamHandler(ViewProtocol, func(s network.Stream) {
		from := s.Conn().RemotePeer()
		if !enter(from, 1) {
			_ = s.Reset()
			return
		}
		defer wg.Done()
		defer enter(from, -1)
		defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
		d := desk{
			hello: func(h Hello) Hello { r.heard(from, h); return r.hello() },
			near:  r.listNear,
			probe: func(p peer.ID) bool { return r.probed(ctx, p) },
		}
		if err := d.converse(s, func() { _ = s.SetDeadline(time.Now().Add(r.cfg.silence())) }); err != nil {
			r.cfg.Log.Debug("view stream failed", "peer", from, "err", err)
			_ = s.Reset()
			return
		}
		_ = s.Close()
	})
	return func() {
		r.host.RemoveStreamHandler(ViewProtocol)
		mu.Lock()
		cancel()
		mu.Unlock()
		wg.Wait()
	}
}

// listNear lists the members nearest to a key as far as this peer knows them, and says
// of which part it leaves out none.
func (r *Router) listNear(q nearReq) (a nearAns) {
	r.mu.Lock()
	now := time.Now()
	ids := make([]peer.ID, 0, q.max)
	near := r.view.nearest(q.key, q.max+1, func(m *member) bool { return !m.stranger && (m.id != r.self || r.serves()) })
	for _, m := range near[:min(len(near), q.max)] {
		ids = append(ids, m.id)
	}
	if p, until, ok := r.view.coverage.Covered(q.key, now); ok {
		a.bits, a.fresh = p.Bits, uint32(min(until.Sub(now).Milliseconds(), 1<<31))
		if len(near) > q.max { // of those as near as the first that is left out nothing is said
			a.bits = max(a.bits, keyspace.CommonPrefix(q.key, near[q.max].key)+1)
		}
	}
	r.mu.Unlock()
	for _, p := range ids {
		h := hint{id: p, addrs: r.host.Peerstore().Addrs(p)}
		if p == r.self {
			h.addrs = r.host.Addrs()
		}
		h.addrs = r.cfg.admit(h.addrs)
		a.hints = append(a.hints, h)
	}
	return a
}

// admit gives those addresses that a member may have in this network, those that only
// browsers need last: what is told of a member has room for few.
func (c Config) admit(addrs []ma.Multiaddr) []ma.Multiaddr {
	admitted := ma.FilterAddrs(addrs, func(a ma.Multiaddr) bool {
		_, err := a.ValueForProtocol(ma.P_CIRCUIT)
		return err != nil && (c.Private || manet.IsPublicAddr(a))
	})
	slices.SortStableFunc(admitted, func(a, b ma.Multiaddr) int { return forBrowsers(a) - forBrowsers(b) })
	return admitted
}

// forBrowsers is 1 for an address that a peer calls only for want of another, 0 otherwise.
func forBrowsers(a ma.Multiaddr) int {
	for _, code := range []int{ma.P_WS, ma.P_WSS, ma.P_WEBTRANSPORT, ma.P_WEBRTC_DIRECT} {
		if _, err := a.ValueForProtocol(code); err == nil {
			return 1
		}
	}
	return 0
}
