package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Config says how the API is served. The zero value answers nobody but the
// probes, as there is no token that could be right.
type Config struct {
	Token       string          // "" lets nobody in
	Hosts       []string        // names allowed in Host beside localhost, 127.0.0.1 and [::1]; any port
	OpenMetrics bool            // metrics need no token
	Metrics     http.Handler    // nil: there are none
	Page        http.Handler    // at / and under /ui/, without the token; nil: there is none
	Door        *Door           // lets browsers in; nil: one of its own
	Done        <-chan struct{} // closed when the peer stops; ends puts whose client has left; nil: never
	Caught      func(v any)     // told of a handler's panic, which costs one request its answer; nil: nobody is
	Lab         Lab             // of a peer of a testnet; nil: its routes are not there
	Mounts      []Mount         // what others answer behind the same guard
	Timing      Timing
	Log         *slog.Logger // nil discards
}

// Timing is how long the API waits, and how often it speaks. An operator need
// not turn it; tests do.
type Timing struct {
	PutIdle   time.Duration // for the next byte of a file that is put; 0 is 5 min, as it may be a pipe
	GetIdle   time.Duration // for the next byte of a file that is read, either way; 0 is 60 s
	Ask       time.Duration // for an answer made at one go, as health; 0 is 60 s
	Write     time.Duration // for a client to take a line; 0 is 10 s
	Status    time.Duration // between two status lines of a put; 0 is 100 ms
	Heartbeat time.Duration // of streams with nothing to say; 0 is 15 s
	Poll      time.Duration // between two looks at who is connected, for events; 0 is 1 s
	Look      time.Duration // between two looks at the health of something, for those who watch it; 0 is 2 s
}

func (t Timing) withDefaults() Timing {
	for _, d := range []struct {
		p *time.Duration
		v time.Duration
	}{
		{&t.PutIdle, 5 * time.Minute},
		{&t.GetIdle, 60 * time.Second},
		{&t.Ask, 60 * time.Second},
		{&t.Write, 10 * time.Second},
		{&t.Status, 100 * time.Millisecond},
		{&t.Heartbeat, 15 * time.Second},
		{&t.Poll, time.Second},
		{&t.Look, 2 * time.Second},
	} {
		if *d.p == 0 {
			*d.p = d.v
		}
	}
	return t
}

func (c Config) withDefaults() Config {
	c.Timing = c.Timing.withDefaults()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Caught == nil {
		c.Caught = func(any) {}
	}
	if c.Door == nil {
		c.Door = &Door{}
	}
	return c
}

// server is the API of one node.
type server struct {
	n     Node
	cfg   Config
	hosts map[string]bool
	jobs  jobs
}

// New makes the handler of n's API.
func New(n Node, cfg Config) http.Handler {
	s := &server{n: n, cfg: cfg.withDefaults(), hosts: allowed(cfg.Hosts)}
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, rt := range append(s.routes(), s.labRoutes()...) {
		mux.HandleFunc(rt.method+" "+rt.path, rt.serve)
		methods[rt.path] = append(methods[rt.path], rt.method)
	}
	for path, some := range methods {
		mux.HandleFunc(path, s.notAllowed(some))
	}
	for _, m := range s.cfg.Mounts {
		mux.Handle(m.Prefix, m.Serve)
	}
	mux.HandleFunc("/", s.elsewhere)
	return s.guard(mux)
}

// route is one line of the table that the mux, the OpenAPI file and the tests
// are held to. GET answers HEAD too.
type route struct {
	method, path string
	serve        http.HandlerFunc
}

func (s *server) routes() []route {
	return append(s.nameRoutes(), []route{
		{"POST", "/api/v1/put", s.put},
		{"GET", "/api/v1/jobs", s.jobsRoute},
		{"GET", "/api/v1/get", s.get},
		{"POST", "/api/v1/dag/import", s.dagImport},
		{"GET", "/api/v1/dag/export", s.dagExport},
		{"GET", "/api/v1/dag/stat", s.dagStat},
		{"GET", "/api/v1/block", s.block},
		{"POST", "/api/v1/block", s.blockPut},
		{"GET", "/api/v1/block/stat", s.blockStat},
		{"GET", "/api/v1/ls", s.ls},
		{"GET", "/api/v1/leaves", s.leaves},
		{"GET", "/api/v1/stat", s.stat},
		{"GET", "/api/v1/pins", s.pins},
		{"POST", "/api/v1/pins", s.pin},
		{"DELETE", "/api/v1/pins", s.unpin},
		{"GET", "/api/v1/leases", s.leases},
		{"POST", "/api/v1/leases", s.renew},
		{"DELETE", "/api/v1/leases", s.withdraw},
		{"GET", "/api/v1/repo", s.repoStat},
		{"POST", "/api/v1/repo/verify", s.repoVerify},
		{"POST", "/api/v1/repo/gc", s.repoGC},
		{"POST", "/api/v1/repo/compact", s.repoCompact},
		{"GET", "/api/v1/health", s.health},
		{"GET", "/api/v1/health/watch", s.watch},
		{"GET", "/api/v1/where", s.where},
		{"GET", "/api/v1/why", s.why},
		{"POST", "/api/v1/repair", s.repair},
		{"GET", "/api/v1/id", s.id},
		{"GET", "/api/v1/peers", s.peers},
		{"POST", "/api/v1/swarm/connect", s.connect},
		{"GET", "/api/v1/version", s.version},
		{"GET", "/api/v1/updates", s.updates},
		{"GET", "/api/v1/events", s.events},
		{"POST", "/api/v1/signin", s.signin},
		{"POST", "/api/v1/signin/code", s.signinCode},
		{"POST", "/api/v1/signout", s.signout},
		{"GET", "/api/v1/openapi.json", s.openapi},
		{"GET", "/healthz", s.healthz},
		{"GET", "/readyz", s.readyz},
		{"GET", "/metrics", s.metrics},
		{"GET", "/debug/metrics/prometheus", s.metrics},
	}...)
}

func (s *server) notAllowed(methods []string) http.HandlerFunc {
	allow := strings.ReplaceAll(strings.Join(methods, ", "), "GET", "GET, HEAD")
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		s.fail(w, r, &refusal{http.StatusMethodNotAllowed, CodeUsage, r.Method + " is not allowed here", "use " + allow})
	}
}

func (s *server) nothingHere(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, &refusal{http.StatusNotFound, CodeUsage, "no such route: " + r.URL.Path, "/api/v1/openapi.json lists the routes"})
}
