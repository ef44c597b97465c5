package fetch

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// sendTime is how long a question may take to be sent.
const sendTime = 3 * time.Second

// What a stranger said of a block.
type answer int

const (
	asked  answer = iota // nothing yet
	has                  // that it has it
	giving               // nothing since it was asked to give it
	lacks                // that it has not, or it is gone
)

// want is one block that somebody here waits for.
type want struct {
	says map[peer.ID]answer // guarded by Bitswap.mu: those who were asked
	data []byte             // guarded by Bitswap.mu: what the first brought, not nil then
	from peer.ID            // guarded by Bitswap.mu: who that is
	news chan struct{}      // 1-buffered: says or data has changed
}

// Get asks connected strangers for c. That none has it is an error for which
// [blocks.IsNotFound] holds, and so is that none gave it in time.
func (s *Bitswap) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	none := blocks.NotFound(c)
	if s.cfg.Denied(c) {
		return blocks.Block{}, none
	}
	ps := s.strangers()
	if len(ps) == 0 {
		return blocks.Block{}, none
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	w := s.wait(ctx, c, ps)
	defer s.forget(c, w)
	hedge := time.NewTimer(s.cfg.Hedge)
	defer hedge.Stop()
	for more := false; ; {
		data, next, open := s.look(w, more)
		switch {
		case data != nil:
			return blocks.Check(c, data)
		case next != "":
			hedge.Reset(s.cfg.Hedge)
			s.ask(ctx, w, next, c, pb.Message_Wantlist_Block)
		case !open:
			return blocks.Block{}, none
		}
		more = false
		select {
		case <-w.news:
		case <-hedge.C:
			more = true
			hedge.Reset(s.cfg.Hedge)
		case <-ctx.Done():
			return blocks.Block{}, none
		}
	}
}

// strangers are connected peers that speak bitswap and not our protocol; who gave the
// last block comes first.
func (s *Bitswap) strangers() (ps []peer.ID) {
	known := s.host.Peerstore()
	for _, p := range s.host.Network().Peers() {
		if s.cfg.Own != "" {
			if ours, err := known.SupportsProtocols(p, s.cfg.Own); err != nil || len(ours) > 0 {
				continue
			}
		}
		if speaks, err := known.SupportsProtocols(p, swapIDs...); err == nil && len(speaks) > 0 {
			ps = append(ps, p)
		}
	}
	rand.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range ps {
		if p == s.giver {
			ps[0], ps[i] = ps[i], ps[0]
		}
	}
	return ps[:min(len(ps), s.cfg.Most)]
}

// wait asks ps whether they have c, and who gave the last block for c itself.
func (s *Bitswap) wait(ctx context.Context, c cid.Cid, ps []peer.ID) *want {
	w := &want{says: make(map[peer.ID]answer, len(ps)), news: make(chan struct{}, 1)}
	key := string(c.Hash())
	s.mu.Lock()
	giver := s.giver
	for _, p := range ps {
		w.says[p] = asked
		if p == giver {
			w.says[p] = giving
		}
	}
	if s.wants[key] == nil {
		s.wants[key] = map[*want]bool{}
	}
	s.wants[key][w] = true
	s.mu.Unlock()
	for _, p := range ps {
		kind := pb.Message_Wantlist_Have
		if p == giver {
			kind = pb.Message_Wantlist_Block
		}
		s.ask(ctx, w, p, c, kind)
	}
	return w
}

// look says what w has come to: what was brought, or whom to ask for it now, and whether
// anybody may still answer. A second one is asked only if more is set.
func (s *Bitswap) look(w *want, more bool) (data []byte, next peer.ID, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := false
	for p, a := range w.says {
		switch a {
		case has:
			next = p
		case giving:
			busy, open = true, true
		case asked:
			open = true
		}
	}
	if next != "" && (more || !busy) {
		w.says[next] = giving
		return w.data, next, true
	}
	return w.data, "", open
}

// forget ends w: those who did not give the block are told that nobody wants it any more.
func (s *Bitswap) forget(c cid.Cid, w *want) {
	key := string(c.Hash())
	s.mu.Lock()
	delete(s.wants[key], w)
	if len(s.wants[key]) == 0 {
		delete(s.wants, key)
	}
	var ps []peer.ID
	for p := range w.says {
		if p != w.from {
			ps = append(ps, p)
		}
	}
	s.mu.Unlock()
	for _, p := range ps {
		select {
		case s.slots <- struct{}{}:
		default:
			continue // what they still say is left
		}
		s.sends.Go(func() { // ends within sendTime; Close waits for it
			defer func() { <-s.slots }()
			ctx, cancel := context.WithTimeout(context.Background(), sendTime)
			defer cancel()
			m := message.New(false)
			m.Cancel(c)
			_ = s.net.SendMessage(ctx, p, m)
		})
	}
}

// ask sends p a question, which p may answer later; who cannot be asked has nothing.
func (s *Bitswap) ask(ctx context.Context, w *want, p peer.ID, c cid.Cid, kind pb.Message_Wantlist_WantType) {
	s.sends.Go(func() { // ends with ctx, within sendTime; Close waits for it
		ctx, cancel := context.WithTimeout(ctx, sendTime)
		defer cancel()
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-ctx.Done():
			return
		}
		m := message.New(false)
		m.AddEntry(c, 1, kind, true)
		if err := s.net.SendMessage(ctx, p, m); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			w.hearLocked(p, lacks)
		}
	})
}

// answered notes what p says in m of what is wanted. What nobody wants is left.
func (s *Bitswap) answered(p peer.ID, m message.BitSwapMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range m.Blocks() {
		for w := range s.wants[string(b.Cid().Hash())] {
			if _, ok := w.says[p]; !ok || w.data != nil {
				continue
			}
			w.data, w.from = append([]byte{}, b.RawData()...), p
			s.giver = p
			s.in.Add(int64(len(w.data)))
			w.hearLocked(p, has)
		}
	}
	for _, said := range []struct {
		of []cid.Cid
		a  answer
	}{{m.Haves(), has}, {m.DontHaves(), lacks}} {
		for _, c := range said.of {
			for w := range s.wants[string(c.Hash())] {
				w.hearLocked(p, said.a)
			}
		}
	}
}

// gone notes that p is not connected any more.
func (s *Bitswap) gone(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ws := range s.wants {
		for w := range ws {
			w.hearLocked(p, lacks)
		}
	}
}

// hearLocked notes what p says, who is to have been asked. That it has the block is no
// news of who was asked to give it. The caller holds Bitswap.mu.
func (w *want) hearLocked(p peer.ID, a answer) {
	was, ok := w.says[p]
	if !ok {
		return
	}
	if a != has || was == asked {
		w.says[p] = a
	}
	select {
	case w.news <- struct{}{}:
	default:
	}
}
