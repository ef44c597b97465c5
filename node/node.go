// Package node is the peer: it joins the three pillars (blocks, dht, pubsub) and
// tells the stories that run through all of them, one file each.
//
//	put.go   file or tree → blocks → local store → lease, journal → holders → quorum → announcement
//	get.go   path → root → local store | holders → check → stream
//	keep.go  which blocks are mine? → who lacks them? → give; and how well it is all kept
//	lease.go how long others keep it: renewed by itself, renewed, withdrawn
//	car.go   CARs and single blocks in, kept as a put is, and out
//	pin.go   what its owner wants kept here: list, stat, pin, unpin
//	names.go what a key's name stands for: publish, resolve; namerun.go: watch, publish again
//	topics.go messages of applications: say, hear, meet who else listens
//	run.go   what goes on by itself, for as long as the peer lives
//
// config.go, home.go and identity.go are what its owner chose and what it is; a
// peer whose parts were made elsewhere is built by [New], one in a home by [Open].
package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/deny"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/cairn-network/cairn/blocks/names"
	"github.com/cairn-network/cairn/blocks/pins"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/cairn-network/cairn/dht"
	"github.com/cairn-network/cairn/node/host"
	"github.com/cairn-network/cairn/node/link"
	"github.com/cairn-network/cairn/pubsub"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/libp2p/go-libp2p/core/crypto"
	lhost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Version is the release of this program.
const Version = "0.1.0-dev"

// Agent is what a peer calls itself.
const Agent = "cairn/" + Version

// Node is one peer.
type Node struct {
	cfg     Config
	key     crypto.PrivKey
	host    lhost.Host
	line    *link.Line // of a peer of a testnet, or nil
	store   blocks.Store
	ledger  blocks.Ledger
	disk    Disk // nil is in memory
	router  *dht.Router
	bus     *pubsub.Bus
	set     *replica.Set
	recs    *replica.Records // nil: none are kept
	names   *naming
	deny    *deny.List // nil: nothing is denied
	seen    *sightings // copies that roots were last seen to have
	blocks  blockservice.BlockService
	fetch   *fetch.Fetcher
	swap    *fetch.Bitswap // nil: it is not spoken
	record  *provider
	public  *public // nil: the public IPFS DHT is not spoken to
	mender  *mender // nil: reads repair nothing
	count   gauges
	brought *wire.Counts
	peers   string // file of remembered peers, or ""
	log     *slog.Logger
	began   time.Time
	stop    []func() error // what was opened, in order

	mu      sync.Mutex
	writing map[string]claims // guarded by mu: blocks that puts and pins under way rely on
	held    []cid.Cid         // guarded by mu: roots that no collection touches
	fresh   *pins.Set         // guarded by mu: what those kept since the collection under way began; nil: there is none
}

// Parts are what a peer is made from. They stay the caller's to close, after the node.
type Parts struct {
	Key    crypto.PrivKey // of the host's identity
	Host   lhost.Host
	Store  blocks.Store
	Ledger blocks.Ledger

	Records blocks.RecordStore // nil keeps no records: no lease is renewed or withdrawn, and there are no names
	Keys    *Keys              // of names; nil: Key alone, and what is made later, in memory

	Disk  Disk                                 // what Store is on; nil is in memory
	Usage func(context.Context) (int64, error) // bytes of the disk that Store takes; nil is not known
	Line  *link.Line                           // that Host's connections pass, in a testnet; nil: there is none
	Peers string                               // file of remembered peers; "" remembers none, as a testnet does
}

// Open builds the peer that lives in h: it locks the home's blocks, opens the store
// and listens. [Create] has made the home.
func Open(ctx context.Context, h Home, cfg Config, log *slog.Logger) (_ *Node, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var stop []func() error
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(stop))
		}
	}()
	if err := h.Check(); err != nil {
		return nil, err
	}
	key, err := LoadIdentity(h.KeyFile())
	if err != nil {
		return nil, err
	}
	st, err := disk.Open(h.Blocks(), disk.Config{Log: log.With("part", "disk")})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	stop = append(stop, st.Close)
	free, err := st.Free()
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	share := Size(min(10<<30, free/10))
	cfg.Store.Quota, cfg.Store.Cache = cmp.Or(cfg.Store.Quota, share), cmp.Or(cfg.Store.Cache, share)
	var line *link.Line
	if cfg.Network.Profile == ProfileTestnet {
		line = link.New(nil)
	}
	var traffic host.Traffic
	low, high := cfg.Conns()
	lh, err := host.New(host.Config{
		Key: key, Listen: cfg.ListenAddrs(), Agent: Agent,
		Private: cfg.private(), PerIP: cfg.perIP(), ConnsLow: low, ConnsHigh: high,
		Traffic: &traffic, Line: line, Log: log.With("part", "libp2p"),
	})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	stop = append(stop, lh.Close)
	keys, err := OpenKeys(h.Keys(), key)
	if err != nil {
		return nil, err
	}
	n, err := New(ctx, Parts{Keys: keys, Key: key, Host: lh, Store: st, Ledger: st, Records: st, Disk: st, Usage: st.Usage, Line: line, Peers: h.PeersFile()}, cfg, log)
	if err != nil {
		return nil, err
	}
	stop = append(stop, n.stop...)
	n.stop = stop
	if err := n.show(&traffic); err != nil {
		return nil, err
	}
	return n, nil
}

// New builds a peer of parts that are already whole. Each further part is made
// from those before it: there are no setters and no cycles. ctx bounds gossip's life.
func New(ctx context.Context, p Parts, cfg Config, log *slog.Logger) (_ *Node, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	n := &Node{cfg: cfg, key: p.Key, host: p.Host, line: p.Line, store: p.Store, ledger: p.Ledger, disk: p.Disk, log: log,
		began: time.Now(), writing: map[string]claims{}, seen: newSightings()}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if p.Keys == nil {
		if p.Keys, err = OpenKeys("", p.Key); err != nil {
			return nil, err
		}
	}
	if n.deny, err = deny.Open(cfg.Gateway.Denylist, log.With("part", "web")); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if n.names, err = n.newNaming(p.Keys, log.With("part", "names")); err != nil {
		return nil, err
	}
	boot, err := bootstrap(cfg.Network.Bootstrap)
	if err != nil {
		return nil, err
	}
	t, self := cfg.Timing(), p.Host.ID()
	if cfg.Network.Profile != ProfileTestnet {
		n.peers = p.Peers
		known, err := recall(n.peers)
		if err != nil {
			log.Warn("remembered peers are lost", "err", err)
		}
		boot = append(boot, known.infos(self)...)
	}
	var set atomic.Pointer[replica.Set] // made after the router, which may be asked before
	n.router, err = dht.New(p.Host, dht.Config{
		Network: cfg.Network.Name, Bootstrap: boot, Member: wire.Protocol, Private: cfg.private(),
		Dial: t.Dial, DialPublic: t.DialPublic, Coverage: t.Coverage, Grace: t.Grace,
		Ping: t.Ping, Misses: t.Misses, Young: t.Young,
		Free: func() (int64, bool) {
			s := set.Load()
			if s == nil {
				return 0, false
			}
			used, limit := s.Space()
			if s.Crowded() {
				return 0, true
			}
			return limit - used, limit > 0
		},
		Neighbours: 2 * cfg.Replica.R, Retry: retry(t), Values: nameJudges(), Log: log.With("part", "dht"),
	})
	if err != nil {
		return nil, err
	}
	n.stop = append(n.stop, n.router.Close)
	n.bus, err = pubsub.New(ctx, p.Host, p.Key, pubsub.Config{
		Network: cfg.Network.Name, Local: cfg.private(), Record: n.nameNews, Topics: cfg.API.Kubo, Log: log.With("part", "pubsub"),
	})
	if err != nil {
		return nil, err
	}
	n.stop = append(n.stop, n.bus.Close)
	n.brought = new(wire.Counts)
	speak := wire.Config{Conduct: wire.NewConduct(n.shun), Counts: n.brought, Denied: n.deniedHash, Closer: n.closer, Caught: func(any) { n.Caught(PartWire) }, Log: log.With("part", "wire")}
	client := wire.NewClient(p.Host, speak)
	if p.Records != nil {
		n.recs = replica.NewRecords(self, p.Records, n.router, client, replica.RecordsConfig{
			Kinds: map[blocks.RecordKind]replica.Validator{blocks.LeaseRecord: replica.ValidLease, blocks.NameRecord: names.Valid},
			News:  n.newsOf(p.Ledger), Every: t.Records, Log: log.With("part", "replica"),
		})
		speak.Records = n.recs
	}
	n.set = replica.New(self, p.Store, p.Ledger, n.router, client, replica.Config{
		R: cfg.Replica.R, NoRepair: !cfg.Replica.Repair, Every: t.Reconcile, AfterChange: t.AfterChange,
		Full: t.FullPass, Backup: t.BackupWait, Brake: t.Brake, Surplus: t.Surplus, Young: t.Young,
		Rate: cfg.repairRate(), Restored: func(took time.Duration) { n.count.restored.Observe(took.Seconds()) },
		PutIdle: t.PutIdle, Linger: t.PutIdle / 4, Fanout: cfg.fanout(), SyncEvery: t.Reconcile, Zone: n.router, Compare: client, Quota: int64(cfg.Store.Quota), Records: n.recs, LeaseEvery: t.LeaseCheck,
		PeerRate: cfg.rate(), Places: cfg.places(n.router), Log: log.With("part", "replica"),
	})
	set.Store(n.set)
	var mend func(fetch.Found)
	if cfg.Replica.Repair {
		n.mender = newMender(n.router, client, log.With("part", "replica"))
		mend = n.mender.add
	}
	var strangers fetch.Strangers
	if cfg.Network.Bitswap {
		n.swap = fetch.NewBitswap(p.Host, p.Store, fetch.BitswapConfig{Own: wire.Protocol, Denied: n.Denied, Log: log.With("part", "wire")})
		n.stop = append(n.stop, n.swap.Close)
		strangers = n.swap
	}
	if cfg.Routing.Public {
		if n.public, err = newPublic(p.Host, p.Ledger, cfg, log.With("part", "public")); err != nil {
			return nil, err
		}
		n.stop = append(n.stop, n.public.dht.Close)
		strangers = n.public.beyond(strangers)
	}
	n.fetch = fetch.New(self, p.Store, n.router, client, fetch.Config{
		Width: 2 * cfg.Replica.R, Records: n.router, Strangers: strangers, Named: n.router.Named, Mend: mend, Log: log.With("part", "disk"),
	})
	n.stop = append(n.stop, n.fetch.Close)
	n.record = newProvider(n.router, p.Ledger, log.With("part", "records"))
	n.blocks = fetch.BlockService(p.Store, n.fetch)
	if err := n.register(p.Usage); err != nil {
		return nil, fmt.Errorf("node: metrics: %w", err)
	}
	serving := wire.Serve(p.Host, p.Store, p.Ledger, keeper{n.set, n.deniedHash}, speak)
	n.stop = append(n.stop, func() error { serving(); return nil })
	comparing := wire.ServeSync(p.Host, n.set, speak)
	n.stop = append(n.stop, func() error { comparing(); return nil })
	if n.line != nil {
		flows := link.Serve(p.Host, log.With("part", "libp2p"))
		n.stop = append(n.stop, func() error { flows(); return nil })
	}
	return n, nil
}

// Close closes what was opened, last first. [Node.Run] must have ended.
func (n *Node) Close() error {
	err := closeAll(n.stop)
	n.stop = nil
	return err
}

func closeAll(stop []func() error) error {
	var errs []error
	for i := len(stop) - 1; i >= 0; i-- {
		errs = append(errs, stop[i]())
	}
	return errors.Join(errs...)
}

// BlockService is boxo's view of the peer's blocks and the network's: what the
// gateway and [Node.Get] stand on.
func (n *Node) BlockService() blockservice.BlockService { return n.blocks }

// nodes reads DAG nodes, with one session for all that ctx asks for.
func (n *Node) nodes(ctx context.Context) ipld.NodeGetter {
	return merkledag.NewSession(ctx, merkledag.NewDAGService(n.blocks))
}

// private reports whether loopback and private addresses are the network's own.
func (c Config) private() bool { return c.Network.Profile != ProfilePublic }

// places says whose nets are looked at when holders are chosen: in a public network the
// members', elsewhere nobody's, as there all may well be in one.
func (c Config) places(r *dht.Router) replica.Places {
	if c.private() {
		return nil
	}
	return r
}

// rate is how many bytes a second one peer may bring; where all peers are the owner's
// or a friend's there is no limit.
func (c Config) rate() int64 {
	if c.Network.Profile == ProfilePublic {
		return 0 // the default
	}
	return -1
}

// perIP is the number of connections that one address may have.
func (c Config) perIP() int {
	const many = 1 << 16
	switch {
	case c.Network.PerIP < 0:
		return many
	case c.Network.PerIP == 0 && c.Network.Profile == ProfileTestnet:
		return many
	}
	return c.Network.PerIP
}

// fanout is the number of holders to which a put brings each block itself: on a LAN,
// where bytes are cheap, all of them.
func (c Config) fanout() int {
	if c.Network.Profile == ProfileLAN {
		return blocks.MaxReplicas
	}
	return wire.Served
}

// retry is the time between two tries of the bootstrap peers: a tenth of the
// reconciliation, which puts it at a second in a testnet.
func retry(t Timing) time.Duration { return t.Reconcile / 10 }

func bootstrap(addrs []string) ([]peer.AddrInfo, error) {
	var as []ma.Multiaddr
	for _, s := range addrs {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return nil, &ConfigError{Key: "network.bootstrap", Reason: fmt.Sprintf("%q: %s", s, err)}
		}
		as = append(as, a)
	}
	infos, err := peer.AddrInfosFromP2pAddrs(as...)
	if err != nil {
		return nil, &ConfigError{Key: "network.bootstrap", Reason: err.Error()}
	}
	return infos, nil
}
