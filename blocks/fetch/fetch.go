// Package fetch gets one block from wherever it is:
//
//	local store → (one flight a block) → closest live members: the better of two, hedged,
//	those that failed last, who keeps it in the place of one that has no room at once → whom
//	they name → a fresh lookup → those who left a record that they have it → strangers, by
//	bitswap → check → caller
//
// It implements boxo's exchange.Interface with sessions, so that blockservice,
// UnixFS and the gateway stand on it unchanged. What is fetched for the blockservice is
// kept, as a block that was merely read, while its reader goes on: at most 32 blocks are
// on their way to the disk, then reading waits for it. A block that nobody has is a
// [blocks.MissError] that says how many peers were asked.
//
// Goroutines live no longer than the call they work for, hedges included: losers
// are cancelled and waited for by none, each has its own slot in a buffered channel.
// Those that keep a block end with that, and [Fetcher.Close] waits for them.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Router says who should have a block: by what is known, or by a lookup made for the question.
type Router interface {
	Closest(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, exact bool, err error)
	Afresh(ctx context.Context, h mh.Multihash, n int) (ids []peer.ID, err error)
}

// Peers asks one peer for one block and checks what it says. An error for which
// [blocks.IsNotFound] holds may have a method Closer that names others.
type Peers interface {
	Fetch(ctx context.Context, p peer.ID, c cid.Cid) (blocks.Block, error)
}

// Records names peers that said to have a block, which anybody can say.
type Records interface {
	Providers(ctx context.Context, h mh.Multihash, n int) ([]peer.ID, error)
}

// Strangers are peers that do not speak our protocols. An error says that none of them gave
// a block: nothing else follows from it.
type Strangers interface {
	Get(ctx context.Context, c cid.Cid) (blocks.Block, error)
}

// Config is what an operator may set. The zero value is for production.
type Config struct {
	Width    int           // closest members that may be asked; 0 is 10, twice the usual number of copies
	Hedge    time.Duration // before the next peer is asked as well, as long as a peer is not known; 0 is 300 ms
	Timeout  time.Duration // for one block; 0 is 45 s
	Parallel int           // blocks of one GetBlocks at a time; 0 is 32
	Spread   int           // closest members among which load is spread; 0 is half of Width
	Rand     *rand.Rand    // picks among those; nil is seeded by the system
	Log      *slog.Logger  // nil discards

	Records    Records       // asked when no member has a block; nil: nobody is
	RecordTime time.Duration // for them to answer; 0 is 10 s

	Strangers Strangers // asked last of all; nil: nobody is

	Named func(peer.AddrInfo) bool // notes the addresses of a peer that was named, and says whether it can be asked; nil: hints are not followed
	Mend  func(Found)              // told of a block that somebody who was asked lacks; it must not wait; nil: nobody is
}

// Found is a block that one peer gave after others had said that they have not got it.
type Found struct {
	Block blocks.Block
	From  peer.ID
	Lack  []peer.ID
}

func (c Config) withDefaults() Config {
	if c.Width == 0 {
		c.Width = 10
	}
	if c.Hedge == 0 {
		c.Hedge = 300 * time.Millisecond
	}
	if c.Timeout == 0 {
		c.Timeout = 45 * time.Second
	}
	if c.Parallel == 0 {
		c.Parallel = 32
	}
	if c.Spread == 0 {
		c.Spread = (c.Width + 1) / 2
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.RecordTime == 0 {
		c.RecordTime = 10 * time.Second
	}
	return c
}

// Fetcher is a blocks.Getter over the whole network.
type Fetcher struct {
	self    peer.ID
	local   blocks.Store
	router  Router
	peers   Peers
	cfg     Config
	flights flights
	known   *standing
	looking chan struct{} // a slot for each fresh lookup
	trails  sync.Map      // of the searches that are on: string(multihash) → *trail
}

// Asked gives those who were asked so far for c, which is being looked for: the first
// [blocks.MissPeers] of them. It answers from memory; what is not looked for has none.
func (f *Fetcher) Asked(c cid.Cid) []peer.ID {
	if t, ok := f.trails.Load(string(c.Hash())); ok {
		return t.(*trail).first()
	}
	return nil
}

var _ blocks.Getter = (*Fetcher)(nil)

// New fetches for the peer self.
func New(self peer.ID, local blocks.Store, r Router, p Peers, cfg Config) *Fetcher {
	cfg = cfg.withDefaults()
	return &Fetcher{self: self, local: local, router: r, peers: p, cfg: cfg,
		flights: flights{m: map[string]*flight{}, keeping: make(chan struct{}, keeping)}, known: newStanding(cfg.Rand), looking: make(chan struct{}, lookups)}
}

// Get gives the block c, from here or from the network.
func (f *Fetcher) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	return f.get(ctx, c, nil, nil)
}

// get is Get, with what a session knows; keep, unless it is nil, is called with what came
// from elsewhere, and goes on after get has answered.
func (f *Fetcher) get(ctx context.Context, c cid.Cid, s *session, keep func(blocks.Block)) (blocks.Block, error) {
	if c.Prefix().MhType == mh.IDENTITY {
		d, err := mh.Decode(c.Hash())
		if err != nil {
			return blocks.Block{}, fmt.Errorf("fetch %s: %w", c, err)
		}
		return blocks.Check(c, d.Digest)
	}
	b, err := f.local.Get(ctx, c)
	if err == nil || !blocks.IsNotFound(err) && !errors.Is(err, blocks.ErrMismatch) {
		return b, err
	}
	local := err
	b, err = f.flights.join(ctx, string(c.Hash()), func(ctx context.Context) (blocks.Block, error) {
		if b, err := f.local.Get(ctx, c); err == nil {
			return b, nil // a flight that has just landed brought it
		}
		ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
		defer cancel()
		return f.anywhere(ctx, c, s)
	}, keep)
	if blocks.IsNotFound(err) && errors.Is(local, blocks.ErrMismatch) {
		err = fmt.Errorf("the copy here is corrupt, and there is no other: %w: %w", local, err)
	}
	if err != nil {
		return blocks.Block{}, fmt.Errorf("fetch: %w", err)
	}
	if b.Cid() != c { // the flight was for another spelling of the same key
		return blocks.Check(c, b.RawData())
	}
	return b, nil
}

// anywhere asks our own network for c, and strangers when it has not got it. A session that
// they have helped asks them first.
func (f *Fetcher) anywhere(ctx context.Context, c cid.Cid, s *session) (blocks.Block, error) {
	if f.cfg.Strangers == nil {
		return f.remote(ctx, c, s)
	}
	first := s.isForeign()
	if first {
		if b, err := f.cfg.Strangers.Get(ctx, c); err == nil {
			return b, nil
		}
	}
	b, err := f.remote(ctx, c, s)
	if err == nil || first || ctx.Err() != nil {
		return b, err
	}
	if b, other := f.cfg.Strangers.Get(ctx, c); other == nil {
		s.setForeign()
		return b, nil
	}
	return b, err
}

// remote asks the closest members for c, then those whom they name, then those whom a fresh
// lookup shows, wider; last it asks who is on record. A session asks those at once who helped
// it so.
func (f *Fetcher) remote(ctx context.Context, c cid.Cid, s *session) (blocks.Block, error) {
	t := newTrail(c, f.self)
	f.trails.Store(string(c.Hash()), t)
	defer f.trails.CompareAndDelete(string(c.Hash()), t)
	var failed error // of a peer that could not say whether it has c
	for _, closest := range []func(context.Context, mh.Multihash) ([]peer.ID, error){f.near, f.afresh} {
		near, err := closest(ctx, c.Hash())
		if err != nil && t.count() == 0 {
			if ctx.Err() != nil {
				return blocks.Block{}, fmt.Errorf("%s: %w", c, ctx.Err())
			}
			return blocks.Block{}, fmt.Errorf("%w: %w", &blocks.MissError{CID: c}, err)
		}
		b, err := f.round(ctx, without(append(s.sources(), near...), t.asked), c, s, t)
		if err == nil {
			return b, nil
		}
		if !blocks.IsNotFound(err) {
			failed = errors.Join(failed, err)
		}
	}
	b, err := f.recorded(ctx, c, s, t)
	if err == nil {
		return b, nil
	}
	if ctx.Err() != nil {
		return blocks.Block{}, fmt.Errorf("%s: asked %d peers: %w", c, t.count(), ctx.Err())
	}
	if failed != nil {
		return blocks.Block{}, fmt.Errorf("%s: asked %d peers: %w", c, t.count(), failed)
	}
	return blocks.Block{}, &blocks.MissError{CID: c, Asked: t.count(), Peers: t.first()}
}

// near are the closest members, as far as is known.
func (f *Fetcher) near(ctx context.Context, h mh.Multihash) ([]peer.ID, error) {
	ids, _, err := f.router.Closest(ctx, h, f.cfg.Width)
	return ids, err
}

// afresh looks once more and wider, for a few blocks at a time.
func (f *Fetcher) afresh(ctx context.Context, h mh.Multihash) ([]peer.ID, error) {
	select {
	case f.looking <- struct{}{}:
		defer func() { <-f.looking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return f.router.Afresh(ctx, h, 2*f.cfg.Width)
}

// round asks ps, and whom they name.
func (f *Fetcher) round(ctx context.Context, ps []peer.ID, c cid.Cid, s *session, t *trail) (blocks.Block, error) {
	if len(ps) == 0 {
		return blocks.Block{}, blocks.NotFound(c)
	}
	b, err := f.first(ctx, s.order(f.known.order(ps, f.cfg.Spread)), c, s, t)
	if err == nil || ctx.Err() != nil {
		return b, err
	}
	found, other := f.hinted(ctx, c, s, t)
	if other == nil || blocks.IsNotFound(err) {
		return found, other
	}
	return b, err
}

// lookups is how many blocks that nobody near has may be looked up at a time.
const lookups = 4

// mend tells of who lacks b.
func (f *Fetcher) mend(b blocks.Block, from peer.ID, t *trail) {
	if f.cfg.Mend != nil && len(t.lack) > 0 {
		f.cfg.Mend(Found{b, from, slices.Clone(t.lack)})
	}
}

// recordsMost is how many peers on record are asked for one block.
const recordsMost = 8

// recorded asks those who are on record for c and were not asked before. That they
// do not answer says nothing of c: records outlive those who left them.
func (f *Fetcher) recorded(ctx context.Context, c cid.Cid, s *session, t *trail) (b blocks.Block, err error) {
	if f.cfg.Records == nil {
		return b, blocks.NotFound(c)
	}
	look, cancel := context.WithTimeout(ctx, f.cfg.RecordTime)
	defer cancel()
	var ids []peer.ID
	for _, of := range s.onRecord(c) {
		if ids, err = f.cfg.Records.Providers(look, of.Hash(), recordsMost+t.count()); err != nil {
			return b, err
		}
		if ids = without(ids, t.asked); len(ids) > 0 {
			break
		}
	}
	b, from, err := f.firstFrom(ctx, ids[:min(len(ids), recordsMost)], c, s, t)
	if err == nil {
		s.helped(from)
	}
	return b, err
}

func without(ps, not []peer.ID) (out []peer.ID) {
	skip := make(map[peer.ID]bool, len(not))
	for _, p := range not {
		skip[p] = true
	}
	for _, p := range ps {
		if !skip[p] {
			skip[p] = true
			out = append(out, p)
		}
	}
	return out
}

// first asks ps in turn, the next one as soon as one says no or is slower than
// the hedge, and takes the first good answer.
func (f *Fetcher) first(ctx context.Context, ps []peer.ID, c cid.Cid, s *session, t *trail) (blocks.Block, error) {
	b, _, err := f.firstFrom(ctx, ps, c, s, t)
	return b, err
}

// firstFrom is first, and says who gave the answer.
func (f *Fetcher) firstFrom(ctx context.Context, ps []peer.ID, c cid.Cid, s *session, t *trail) (blocks.Block, peer.ID, error) {
	t.ask(ps)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		from peer.ID
		b    blocks.Block
		took time.Duration
		err  error
	}
	answers := make(chan answer, len(ps)+hintsMost) // room for each: no loser is ever left behind
	hedge := time.NewTimer(0)
	defer hedge.Stop()
	next, late := 0, 0
	open := map[peer.ID]bool{}
	ask := func() {
		if next == len(ps) {
			return
		}
		p := ps[next]
		next, late = next+1, 0
		open[p] = true
		f.known.asked(p)
		go func() { // ends with ctx; waited for by none
			t0 := time.Now()
			b, err := f.peers.Fetch(ctx, p, c)
			answers <- answer{p, b, time.Since(t0), err}
		}()
		hedge.Reset(f.known.patience(p, f.cfg.Hedge))
	}
	defer func() { // who is still asked was slower than who answered, or nobody waits any more
		for p := range open {
			if next > 1 && ctx.Err() == nil {
				f.known.failure(p)
			} else {
				f.known.lacked(p)
			}
		}
	}()
	err := blocks.NotFound(c)
	for ask(); len(open) > 0; {
		select {
		case a := <-answers:
			delete(open, a.from)
			s.note(a.from, a.err)
			switch {
			case a.err == nil:
				f.known.gave(a.from, len(a.b.RawData()), a.took)
				s.gave(a.from)
				f.mend(a.b, a.from, t)
				return a.b, a.from, nil
			case blocks.IsNotFound(a.err):
				ps = t.lead(ps, next, t.missed(a.from, a.err), f.cfg.Named)
				f.known.lacked(a.from)
				s.lacked(a.from)
			case ctx.Err() == nil:
				f.known.failure(a.from)
				err = a.err
			default:
				f.known.lacked(a.from)
				err = a.err
			}
			ask()
		case <-hedge.C:
			// A peer may be asked for what another is sending if that is rare, or if the
			// other keeps silent for long.
			if late++; late > silent || f.known.mayHedge() {
				ask()
			} else {
				hedge.Reset(f.cfg.Hedge)
			}
		}
	}
	return blocks.Block{}, "", err
}

// silent is how many times its patience a peer is waited for when no more may be asked for twice.
const silent = 4
