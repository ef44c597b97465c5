package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/exchange"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"
)

var _ exchange.SessionExchange = (*Fetcher)(nil)

// BlockService gives boxo's blockservice over st and f: what st lacks is fetched,
// and then kept in st as a block that was merely read.
func BlockService(st blocks.Store, f *Fetcher) blockservice.BlockService {
	return blockservice.New(through{Blockstore{st}, f}, f, blockservice.WriteThrough(true))
}

// through is the blockstore of a blockservice over a Fetcher that keeps what it fetches:
// the service puts it here once more, one block after the other.
type through struct {
	Blockstore
	f *Fetcher
}

// Put keeps b unless it is here or on its way.
func (t through) Put(ctx context.Context, b block.Block) error {
	if t.f.flights.has(string(b.Cid().Hash())) {
		return nil
	}
	if ok, err := t.Has(ctx, b.Cid()); ok || err != nil {
		return err
	}
	return t.Blockstore.Put(ctx, b)
}

// keep puts what was fetched into the local store, whoever waits for it no more. That
// there is no room for it is no news to a reader.
func (f *Fetcher) keep(b blocks.Block) {
	ctx, cancel := context.WithTimeout(context.Background(), f.cfg.Timeout)
	defer cancel()
	if err := f.local.Put(ctx, b); err != nil && !errors.Is(err, blocks.ErrFull) {
		f.cfg.Log.Warn("what was read is not kept", "cid", b.Cid(), "err", err)
	}
}

// GetBlock is exchange.Fetcher's.
func (f *Fetcher) GetBlock(ctx context.Context, c cid.Cid) (block.Block, error) {
	return asBlock(f.get(ctx, c, nil, f.keep))
}

// GetBlocks is exchange.Fetcher's: the blocks come in the order they are found,
// and the channel is closed early when one cannot be had.
func (f *Fetcher) GetBlocks(ctx context.Context, cs []cid.Cid) (<-chan block.Block, error) {
	return f.many(ctx, cs, nil), nil
}

// NotifyNewBlocks is exchange.Interface's; nobody waits for such news here.
func (f *Fetcher) NotifyNewBlocks(context.Context, ...block.Block) error { return nil }

// Close is exchange.Interface's: it waits for what is on its way to the disk.
func (f *Fetcher) Close() error {
	f.flights.landing.Wait()
	return nil
}

// NewSession is exchange.SessionExchange's: its fetches learn from each other
// which peers fail, and which help. The root it reads under is [blocks.RootOf] ctx.
func (f *Fetcher) NewSession(ctx context.Context) exchange.Fetcher {
	return &session{f: f, root: blocks.RootOf(ctx), failed: map[peer.ID]int{}, misses: map[peer.ID]int{}}
}

func (f *Fetcher) many(ctx context.Context, cs []cid.Cid, s *session) <-chan block.Block {
	out := make(chan block.Block)
	go func() { // ends with ctx or when every block was tried; the reader waits on out
		defer close(out)
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(f.cfg.Parallel)
		for _, c := range cs {
			if ctx.Err() != nil {
				break
			}
			g.Go(func() error {
				b, err := f.get(ctx, c, s, f.keep)
				if err != nil {
					return nil // the reader sees that it is missing; the others go on
				}
				select {
				case out <- b:
				case <-ctx.Done():
				}
				return nil
			})
		}
		_ = g.Wait()
	}()
	return out
}

// session is several fetches that belong together. A nil session knows nothing.
type session struct {
	f      *Fetcher
	root   cid.Cid // what all of it is below, or Undef
	mu     sync.Mutex
	failed map[peer.ID]int // guarded by mu: peers that could not answer, and how often
	source []peer.ID       // guarded by mu: peers on record that had what no member has
	misses map[peer.ID]int // guarded by mu: blocks that a peer lacked since it gave one
	abroad bool            // guarded by mu: strangers had what our network has not
}

// isForeign reports whether strangers had some of what is read in s.
func (s *session) isForeign() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.abroad
}

// setForeign notes that they had.
func (s *session) setForeign() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abroad = true
}

// gave and lacked note what p had of what was asked in s.
func (s *session) gave(p peer.ID) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misses[p] = -1 << 20 // it has some of it: near is what counts
}

func (s *session) lacked(p peer.ID) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misses[p]++
}

// barren is how many blocks a peer that gave none may lack before others are asked first.
const barren = 4

// sources are those who helped before: what they have below a root they have all of.
func (s *session) sources() []peer.ID {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.source)
}

// onRecord is what may have a record that leads to c: roots have, so the root
// above c first.
func (s *session) onRecord(c cid.Cid) []cid.Cid {
	if s == nil || !s.root.Defined() || s.root.Hash().String() == c.Hash().String() {
		return []cid.Cid{c}
	}
	return []cid.Cid{s.root, c}
}

// helped notes that p was on record and had the block.
func (s *session) helped(p peer.ID) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.source, p) && len(s.source) < recordsMost {
		s.source = append(s.source, p)
	}
}

func (s *session) GetBlock(ctx context.Context, c cid.Cid) (block.Block, error) {
	return asBlock(s.f.get(ctx, c, s, s.f.keep))
}

func (s *session) GetBlocks(ctx context.Context, cs []cid.Cid) (<-chan block.Block, error) {
	return s.f.many(ctx, cs, s), nil
}

// note remembers how p answered.
func (s *session) note(p peer.ID, err error) {
	if s == nil || blocks.IsNotFound(err) || errors.Is(err, context.Canceled) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.failed, p)
	} else {
		s.failed[p]++
	}
}

// order puts those that failed last, and those that have nothing of all this before
// them; otherwise it leaves the order.
func (s *session) order(ps []peer.ID) []peer.ID {
	if s == nil {
		return ps
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := func(p peer.ID) int {
		if s.misses[p] >= barren {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(ps, func(a, b peer.ID) int {
		return cmp.Or(s.failed[a]-s.failed[b], last(a)-last(b))
	})
	return ps
}

func asBlock(b blocks.Block, err error) (block.Block, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Blockstore is a blocks.Store in the words of boxo.
type Blockstore struct{ Store blocks.Store }

var (
	_ blockstore.Blockstore = Blockstore{}
	_ blockstore.Viewer     = Blockstore{}
)

// The methods of boxo's blockstore.Blockstore and Viewer.
func (s Blockstore) Get(ctx context.Context, c cid.Cid) (block.Block, error) {
	b, err := s.Store.Get(ctx, c)
	if errors.Is(err, blocks.ErrMismatch) {
		return nil, blocks.NotFound(c) // rotten here: ask the holders
	}
	return asBlock(b, err)
}

func (s Blockstore) Has(ctx context.Context, c cid.Cid) (bool, error) {
	return s.Store.Has(ctx, c.Hash())
}

func (s Blockstore) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	return s.Store.Size(ctx, c.Hash())
}

func (s Blockstore) View(ctx context.Context, c cid.Cid, f func([]byte) error) error {
	return s.Store.View(ctx, c.Hash(), f)
}

func (s Blockstore) DeleteBlock(ctx context.Context, c cid.Cid) error {
	return s.Store.Delete(ctx, c.Hash())
}

// Put and PutMany keep what was read, if there is room for it: a full disk is no reason
// for a reader not to read.
func (s Blockstore) Put(ctx context.Context, b block.Block) error {
	return s.PutMany(ctx, []block.Block{b})
}

func (s Blockstore) PutMany(ctx context.Context, bs []block.Block) error {
	own := make([]blocks.Block, len(bs))
	for i, b := range bs {
		var ok bool
		if own[i], ok = b.(blocks.Block); ok {
			continue // made by this process, so checked
		}
		var err error
		if own[i], err = blocks.Check(b.Cid(), b.RawData()); err != nil {
			return fmt.Errorf("fetch: keep: %w", err)
		}
	}
	err := s.Store.Put(ctx, own...)
	if errors.Is(err, blocks.ErrFull) {
		return nil
	}
	return err
}

// AllKeysChan closes early when the walk fails: boxo's interface cannot say so.
func (s Blockstore) AllKeysChan(ctx context.Context) (<-chan cid.Cid, error) {
	out := make(chan cid.Cid)
	go func() { // ends with ctx or the walk; the reader waits on out
		defer close(out)
		for h, err := range s.Store.All(ctx) {
			if err != nil {
				return
			}
			select {
			case out <- blocks.Key(h):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}
