package gateway

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	boxo "github.com/ipfs/boxo/gateway"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says how content is served. The zero value is production.
type Config struct {
	Hosts   []string              // names allowed in Host beside localhost, 127.0.0.1 and [::1]; any port
	Metrics prometheus.Registerer // nil: they are counted for nobody

	// Retrieval is how long the next byte may take, the first one included: then
	// 504, or the connection is broken. 0 is 30 s. An operator whose holders are
	// slow turns it up.
	Retrieval   time.Duration
	MaxRequests int // served at once; more get 429; 0 is 4096

	FirstByte func(took time.Duration) // told how long the first byte of content took; nil: nobody is
	Caught    func(v any)              // told of a handler's panic, which costs one request its answer; nil: nobody is
}

// New makes the gateway over bs.
func New(bs blockservice.BlockService, cfg Config) http.Handler {
	// A CID that holds its data, as the one clients probe with, needs no store and no peer.
	bs = blockservice.New(blockstore.NewIdStore(bs.Blockstore()), bs.Exchange())
	backend, err := boxo.NewBlocksBackend(bs, boxo.WithNameSystem(noNames{}))
	if err != nil {
		panic(err) // only its options could fail, and ours does not
	}
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry() // boxo's own default is the process's
	}
	with := boxo.Config{
		DeserializedResponses: true,
		NoDNSLink:             true,
		DiagnosticServiceURL:  "", // nobody else is told what is looked for here
		RetrievalTimeout:      0,  // see patient
		MaxConcurrentRequests: cmp.Or(cfg.MaxRequests, boxo.DefaultMaxConcurrentRequests),
		MetricsRegistry:       cfg.Metrics,
		PublicGateways: map[string]*boxo.PublicGateway{"localhost": {
			Paths: []string{"/ipfs"}, UseSubdomains: true, NoDNSLink: true, DeserializedResponses: true,
		}},
	}
	h := boxo.NewHostnameHandler(with, backend, boxo.NewHandler(with, backend))
	cfg.Retrieval = cmp.Or(cfg.Retrieval, boxo.DefaultRetrievalTimeout)
	if cfg.FirstByte == nil {
		cfg.FirstByte = func(time.Duration) {}
	}
	if cfg.Caught == nil {
		cfg.Caught = func(any) {}
	}
	return guard(h, allowed(cfg.Hosts), cfg)
}

// headers go with every answer. own says that the CID has an origin of its own.
func headers(h http.Header, own bool) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if own {
		h.Set("Origin-Agent-Cluster", "?1") // and no page may make two origins one
	} else {
		h.Set("Content-Security-Policy", "sandbox") // CIDs share one origin: a page gets none, and runs no script
	}
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Access-Control-Allow-Origin", "*") // content is public; there are no credentials here
	h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, Etag, Ipfs-Uri, X-Ipfs-Roots")
}

// guard stands before boxo's handler.
func guard(next http.Handler, hosts map[string]bool, cfg Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := ownOrigin(r.Host)
		headers(w.Header(), own)
		switch {
		case !own && !hosts[hostname(r.Host)]:
			http.Error(w, "this Host is not served here: use CID.ipfs.localhost, localhost or 127.0.0.1, or allow the name in [gateway] hosts", http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, r.Method+" is not allowed: content is only read here", http.StatusMethodNotAllowed)
		case !own && r.Header.Get("Service-Worker") != "":
			http.Error(w, "a service worker would rule over the content of others: not served from a path", http.StatusBadRequest)
		case !own && !strings.HasPrefix(r.URL.Path, "/ipfs/"):
			http.Error(w, "nothing here: content is under /ipfs/CID", http.StatusNotFound)
		default:
			serve(next, w, plain(r), cfg)
		}
	})
}

// plain is r without what a proxy may say of another host: none is trusted here.
// Its Host is in lower case, as browsers send it.
func plain(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Host = strings.ToLower(r.Host)
	for _, k := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "Forwarded"} {
		r.Header.Del(k)
	}
	return r
}
