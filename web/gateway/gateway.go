package gateway

import (
	"cmp"
	"net/http"
	"net/netip"
	"time"

	"github.com/ipfs/boxo/blockservice"
	boxo "github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/namesys"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says how content is served. The zero value is production.
type Config struct {
	// Hosts are the names allowed in Host beside localhost, 127.0.0.1 and [::1], with
	// any port: there all content shares one origin, and runs no script.
	Hosts []string
	// Subdomains are names, such as gateway.example, at which each CID has an origin
	// of its own, CID.ipfs.gateway.example, as it has at localhost. DNS leads all of
	// *.ipfs and *.ipns below them here.
	Subdomains []string
	// Sites are names whose DNSLink says what is served under them: site.example, or
	// *.example for all below example. Nobody is asked for the DNSLink of another Host.
	Sites []string
	// Proxies are the networks whose word on X-Forwarded-Host and X-Forwarded-Proto
	// counts; that of others is dropped.
	Proxies []netip.Prefix

	Names   namesys.NameSystem // resolves /ipns; nil: there is no /ipns
	Records routing.ValueStore // gives IPNS records as they are; nil: there are none
	Routing Routing            // answers /routing/v1; nil: there is none

	// Denied says of what content must not be given out, in whatever form: 410. nil: nothing.
	Denied func(cid.Cid) bool
	// DeniedPath says so of a path, /ipfs/CID/a/b or /ipns/NAME/a/b. nil: of none.
	DeniedPath func(path string) bool
	// Copies says how many live copies c was last seen to have. It answers from
	// memory, at once. nil, or false: nothing is said.
	Copies func(c cid.Cid) (n int, known bool)

	// Asked says who is being asked for c now. It answers from memory, at once. nil: nothing is said.
	Asked func(c cid.Cid) []peer.ID

	Metrics prometheus.Registerer // nil: they are counted for nobody

	// Retrieval is how long the next byte may take, the first one included: then
	// 504, or the connection is broken. 0 is 30 s. An operator whose holders are
	// slow turns it up.
	Retrieval   time.Duration
	MaxRequests int // served at once; more get 429; 0 is 4096
	MaxBlocks   int // read for one request; what needs more is broken off; 0 is 1,000,000

	Memory int64 // bytes of files in hand, for all requests together; what finds no room waits, then 429; 0 is 128 MiB

	FirstByte func(took time.Duration) // told how long the first byte of content took; nil: nobody is
	Caught    func(v any)              // told of a handler's panic, which costs one request its answer; nil: nobody is
}

func (c Config) withDefaults() Config {
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry() // boxo's own default is the process's
	}
	c.Retrieval = cmp.Or(c.Retrieval, boxo.DefaultRetrievalTimeout)
	c.MaxRequests = cmp.Or(c.MaxRequests, boxo.DefaultMaxConcurrentRequests)
	c.MaxBlocks = cmp.Or(c.MaxBlocks, 1_000_000)
	c.Memory = cmp.Or(c.Memory, 128<<20)
	if c.Asked == nil {
		c.Asked = func(cid.Cid) []peer.ID { return nil }
	}
	if c.Denied == nil {
		c.Denied = func(cid.Cid) bool { return false }
	}
	if c.DeniedPath == nil {
		c.DeniedPath = func(string) bool { return false }
	}
	if c.Copies == nil {
		c.Copies = func(cid.Cid) (int, bool) { return 0, false }
	}
	if c.FirstByte == nil {
		c.FirstByte = func(time.Duration) {}
	}
	if c.Caught == nil {
		c.Caught = func(any) {}
	}
	return c
}

// New makes the gateway over bs.
func New(bs blockservice.BlockService, cfg Config) http.Handler {
	ownListing()
	cfg = cfg.withDefaults()
	with := boxo.Config{
		DeserializedResponses: true,
		DeprecatedXIpfsPath:   true, // what clients and the conformance suite still read
		DiagnosticServiceURL:  "",   // nobody else is told what is looked for here
		RetrievalTimeout:      0,    // see patient
		MaxConcurrentRequests: cfg.MaxRequests,
		MetricsRegistry:       cfg.Metrics,
		NoDNSLink:             true, // see linked
		PublicGateways:        map[string]*boxo.PublicGateway{},
	}
	paths := []string{"/ipfs"}
	if cfg.Names != nil {
		paths = append(paths, "/ipns")
	}
	for _, name := range cfg.Hosts {
		with.PublicGateways[hostname(name)] = &boxo.PublicGateway{Paths: paths, NoDNSLink: true, DeserializedResponses: true}
	}
	for _, name := range append([]string{"localhost"}, cfg.Subdomains...) {
		with.PublicGateways[hostname(name)] = &boxo.PublicGateway{
			Paths: paths, UseSubdomains: true, InlineDNSLink: true, NoDNSLink: true, DeserializedResponses: true,
		}
	}
	b := newBackend(bs, cfg)
	plain := boxo.NewHandler(with, b)
	g := guard{
		content: boxo.NewHostnameHandler(with, b, plain), plain: plain,
		hosts: newHosts(cfg), cfg: cfg,
	}
	if cfg.Routing != nil {
		g.routing = routes(cfg)
	}
	return g
}
