package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/dht"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/ipfs/go-cid"
	lhost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"
)

// The public IPFS DHT, for who wants it (routing.public): the roots that are kept here are on
// record there too, and what our network lacks is looked for at those who are on record.
//
//	a block nobody here has → who has its root? → dial them → bitswap, which checks what comes
const (
	publicTime  = 10 * time.Second // for one search
	publicDial  = 5 * time.Second  // for one of those it names
	publicMost  = 8                // of them
	publicAgain = time.Minute      // before the same root is looked for again
	publicAt    = 4                // searches at a time
)

// public is this peer as a client of the public DHT.
type public struct {
	dht    *dht.Public
	host   lhost.Host
	record *provider
	log    *slog.Logger
	slots  chan struct{} // has one element for each search under way

	mu    sync.Mutex
	tried *simplelru.LRU[cid.Cid, *search] // guarded by mu
}

// search is one for those who have a root.
type search struct {
	done  chan struct{} // closed when it has ended; the rest is written by then
	end   time.Time
	found bool // somebody was reached
}

func newPublic(h lhost.Host, l blocks.Ledger, cfg Config, log *slog.Logger) (*public, error) {
	var boot []peer.AddrInfo
	if len(cfg.Routing.Bootstrap) > 0 {
		var err error
		if boot, err = bootstrap(cfg.Routing.Bootstrap); err != nil {
			return nil, err
		}
	}
	d, err := dht.NewPublic(h, dht.PublicConfig{Bootstrap: boot, Private: cfg.Network.Profile == ProfileTestnet, Retry: retry(cfg.Timing()), Log: log})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	tried, err := simplelru.NewLRU[cid.Cid, *search](1024, nil)
	if err != nil {
		panic(err) // the size is positive
	}
	return &public{dht: d, host: h, record: newProvider(d, l, log), log: log, slots: make(chan struct{}, publicAt), tried: tried}, nil
}

// run keeps the way to the public DHT, and the records there.
func (p *public) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.dht.Run(ctx) })
	g.Go(func() error { return p.record.run(ctx) })
	return g.Wait()
}

// recorded queues the records of root, which is kept here from now on.
func (n *Node) recorded(root cid.Cid) {
	n.record.add(root)
	if n.public != nil {
		n.public.record.add(root)
	}
}

// beyond asks strangers, and then those who are on record in the public DHT; nil strangers
// cannot be asked for blocks, so nobody is.
func (p *public) beyond(strangers fetch.Strangers) fetch.Strangers {
	if strangers == nil {
		return nil
	}
	return farther{strangers, p}
}

type farther struct {
	near fetch.Strangers
	p    *public
}

// Get asks who is connected, looks for others, and asks again if some came.
func (f farther) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	began := time.Now()
	b, err := f.near.Get(ctx, c)
	if err == nil || ctx.Err() != nil {
		return b, err
	}
	root := blocks.RootOf(ctx)
	if !root.Defined() {
		root = c
	}
	if !f.p.seek(ctx, root, began) {
		return b, err
	}
	return f.near.Get(ctx, c)
}

// seek meets those who are on record for root, and says whether anybody was reached since.
// Callers at the same time share a search.
func (p *public) seek(ctx context.Context, root cid.Cid, since time.Time) bool {
	p.mu.Lock()
	s, ok := p.tried.Get(root)
	if ok {
		select {
		case <-s.done:
			ok = time.Since(s.end) < publicAgain
		default:
		}
	}
	if ok {
		p.mu.Unlock()
		select {
		case <-s.done:
			return s.found && s.end.After(since)
		case <-ctx.Done():
			return false
		}
	}
	s = &search{done: make(chan struct{})}
	p.tried.Add(root, s)
	p.mu.Unlock()
	s.found = p.search(ctx, root)
	if ctx.Err() == nil { // else it says nothing to those who come later
		s.end = time.Now()
	}
	close(s.done)
	return s.found
}

// search asks the public DHT for root and dials whom it names.
func (p *public) search(ctx context.Context, root cid.Cid) bool {
	ctx, cancel := context.WithTimeout(ctx, publicTime)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false
	}
	infos, err := p.dht.Providers(ctx, root.Hash(), publicMost)
	if err != nil {
		p.log.Debug("the public DHT is not asked", "root", root, "err", err)
	}
	reached := make(chan bool, len(infos))
	for _, info := range infos {
		go func() { // ends within publicDial
			dial, end := context.WithTimeout(ctx, publicDial)
			defer end()
			err := p.host.Connect(dial, info)
			if err != nil {
				p.log.Debug("who is on record is not reached", "peer", info.ID, "err", err)
			}
			reached <- err == nil
		}()
	}
	some := false
	for range infos {
		some = <-reached || some
	}
	return some
}
