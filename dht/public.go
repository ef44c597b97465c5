package dht

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/amino"
	kbucket "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	mh "github.com/multiformats/go-multihash"
)

// PublicProtocol is what peers of the public IPFS DHT speak.
const PublicProtocol = amino.ProtocolID

// PublicConfig is what an operator may set of the public DHT. The zero value is production.
type PublicConfig struct {
	Bootstrap []peer.AddrInfo // dialled first, and again while nobody is known; nil: those of libp2p
	Private   bool            // keep private and loopback addresses, for networks that only act as public
	Retry     time.Duration   // between two tries of those; 0 is 30 s
	Log       *slog.Logger    // nil discards
}

// Public is a client of the public IPFS DHT, beside our own: it leaves records there and finds
// those of others, and answers nobody. What it finds is a hint of anybody's, as [Router.Providers]
// says of its own.
type Public struct {
	host  host.Host
	kad   *kad.IpfsDHT
	cfg   PublicConfig
	ready chan struct{} // closed when somebody is known for the first time
}

// NewPublic makes a client on h. It starts kad-dht, which has goroutines of its own until
// [Public.Close]; nobody is called before [Public.Run].
func NewPublic(h host.Host, cfg PublicConfig) (*Public, error) {
	cfg.Retry = cmp.Or(cfg.Retry, 30*time.Second)
	if cfg.Bootstrap == nil {
		cfg.Bootstrap = kad.GetDefaultBootstrapPeerAddrInfos()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	opts := []kad.Option{kad.Mode(kad.ModeClient)}
	if cfg.Private {
		opts = append(opts, kad.AddressFilter(nil))
	} else {
		opts = append(opts, kad.QueryFilter(kad.PublicQueryFilter), kad.RoutingTableFilter(kad.PublicRoutingTableFilter),
			kad.RoutingTablePeerDiversityFilter(kad.NewRTPeerDiversityFilter(h, 2, 3)),
			kad.AddressFilter(func(as []ma.Multiaddr) []ma.Multiaddr { return ma.FilterAddrs(as, manet.IsPublicAddr) }))
	}
	k, err := kad.New(h, opts...)
	if err != nil {
		return nil, fmt.Errorf("dht: public: %w", err)
	}
	return &Public{h, k, cfg, make(chan struct{})}, nil
}

// Run finds the public network and keeps a way to it, until ctx is done.
func (p *Public) Run(ctx context.Context) error {
	for met := false; ; {
		if p.Peers() == 0 {
			p.call(ctx)
			select {
			case <-p.kad.RefreshRoutingTable():
			case <-time.After(refresh):
			case <-ctx.Done():
			}
		}
		if !met && p.Peers() > 0 {
			met = true
			close(p.ready)
		}
		if !sleep(ctx, jitter(p.cfg.Retry)) {
			return nil
		}
	}
}

// call dials the bootstrap peers, all at once.
func (p *Public) call(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // for the whole of it
	defer cancel()
	var all sync.WaitGroup
	for _, b := range p.cfg.Bootstrap {
		all.Go(func() {
			if err := p.host.Connect(ctx, b); err != nil {
				p.cfg.Log.Debug("public bootstrap peer not reached", "peer", b.ID, "err", err)
			}
		})
	}
	all.Wait()
}

// Ready is closed once somebody of the public DHT is known.
func (p *Public) Ready() <-chan struct{} { return p.ready }

// Peers is how many peers of the public DHT are known.
func (p *Public) Peers() int { return p.kad.RoutingTable().Size() }

// Provide leaves a record in the public DHT that this peer has h. It answers [ErrAlone] when
// nobody is known there.
func (p *Public) Provide(ctx context.Context, h mh.Multihash) error {
	if p.Peers() == 0 {
		return ErrAlone
	}
	err := p.kad.Provide(ctx, cid.NewCidV1(cid.Raw, h), true)
	if errors.Is(err, kbucket.ErrLookupFailure) {
		return ErrAlone
	}
	if err != nil {
		return fmt.Errorf("dht: public: provide: %w", err)
	}
	return nil
}

// Providers gives up to n peers that left a record in the public DHT that they have h.
func (p *Public) Providers(ctx context.Context, h mh.Multihash, n int) (infos []peer.AddrInfo, err error) {
	if p.Peers() == 0 {
		return nil, ErrAlone
	}
	for info := range p.kad.FindProvidersAsync(ctx, cid.NewCidV1(cid.Raw, h), n) {
		infos = append(infos, info)
	}
	if len(infos) == 0 && ctx.Err() != nil {
		return nil, fmt.Errorf("dht: public: providers: %w", ctx.Err())
	}
	return infos, nil
}

// Close leaves the public DHT.
func (p *Public) Close() error { return p.kad.Close() }
