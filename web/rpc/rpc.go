package rpc

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Config says how commands are answered. The zero value is production.
type Config struct {
	Idle time.Duration // for the next byte of a body, the next block, and a client to take a line; 0 is 60 s
	Ask  time.Duration // for an answer made at one go; 0 is 60 s
	Tick time.Duration // between two lines of progress; 0 is 200 ms
	Work int           // pins that /psa fetches at a time; 0 is 4
	Jobs int           // requests of /psa that are remembered; 0 is 10,000
	Dir  string        // where those outlive the peer, and the mutable files; made when it is needed; "" is nowhere

	// Quiet is how long the mutable files have to be left alone before others are given
	// them as they are; 0 is 2 s.
	Quiet time.Duration

	Log *slog.Logger // nil discards
}

func (c Config) withDefaults() Config {
	c.Idle, c.Ask = cmp.Or(c.Idle, time.Minute), cmp.Or(c.Ask, time.Minute)
	c.Tick = cmp.Or(c.Tick, 200*time.Millisecond)
	c.Work, c.Jobs = cmp.Or(c.Work, 4), cmp.Or(c.Jobs, 10_000)
	c.Quiet = cmp.Or(c.Quiet, 2*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Server answers for one peer. [New] makes one.
type Server struct {
	n     Node
	cfg   Config
	all   map[string]command
	jobs  *jobs
	files *files
}

// New makes the server of n, and takes up the requests of /psa that were made before, which
// wait until [Server.Run] runs, and the mutable files, which are held from now on if n is a
// [Keeper].
func New(n Node, cfg Config) *Server {
	s := &Server{n: n, cfg: cfg.withDefaults()}
	s.jobs = newJobs(s.cfg.Jobs, shelf{s.cfg.Dir, s.cfg.Log})
	s.files = newFiles(n, s.cfg)
	s.all = s.commands()
	return s
}

// command answers a call. It has answered nothing when its error is to be answered.
type command func(*call) error

// commands are what is answered, by their names as in a path.
func (s *Server) commands() map[string]command {
	return map[string]command{
		"version": s.version, "id": s.id, "commands": s.list, "diag/sys": s.sys, "config/show": s.config,
		"add": s.add, "cat": s.cat, "get": s.get, "ls": s.ls, "refs": s.refs, "resolve": s.resolve,
		"files/stat": s.filesStat, "files/ls": s.filesLs, "files/read": s.filesRead, "files/flush": s.filesFlush,
		"files/cp": s.filesCp, "files/mkdir": s.filesMkdir, "files/write": s.filesWrite, "files/rm": s.filesRm, "files/mv": s.filesMv,
		"files/chcid": s.filesUnfit, "files/chmod": s.filesUnfit, "files/touch": s.filesUnfit,
		"block/get": s.blockGet, "block/stat": s.blockStat, "block/put": s.blockPut,
		"dag/get": s.dagGet, "dag/put": s.dagPut, "dag/resolve": s.dagResolve, "dag/stat": s.dagStat,
		"dag/export": s.dagExport, "dag/import": s.dagImport,
		"pin/add": s.pinAdd, "pin/ls": s.pinLs, "pin/rm": s.pinRm, "pin/update": s.pinUpdate,
		"name/publish": s.namePublish, "name/resolve": s.nameResolve,
		"key/list": s.keyList, "key/gen": s.keyGen, "key/rm": s.keyRm, "key/export": s.keyExport, "key/import": s.keyImport,
		"swarm/peers": s.swarmPeers, "swarm/connect": s.swarmConnect, "swarm/addrs": s.swarmAddrs,
		"swarm/addrs/local": s.swarmLocal, "swarm/addrs/listen": s.swarmLocal,
		"swarm/disconnect":  s.swarmDisconnect,
		"routing/findprovs": s.findProvs, "routing/findpeer": s.findPeer, "routing/provide": s.routingProvide,
		"routing/get": s.routingGet, "routing/put": s.routingPut,
		"pubsub/pub": s.pubsubPub, "pubsub/sub": s.pubsubSub, "pubsub/ls": s.pubsubLs, "pubsub/peers": s.pubsubPeers,
		"repo/stat": s.repoStat, "stats/repo": s.repoStat, "repo/gc": s.repoGC, "repo/verify": s.repoVerify, "repo/version": s.repoVersion,
	}
}

// Prefix is where [Server.RPC] is mounted.
const Prefix = "/api/v0/"

// RPC is the handler of everything under [Prefix].
func (s *Server) RPC() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, Prefix), "/")
		run, ok := s.all[name]
		switch {
		case !ok:
			Fail(w, http.StatusNotFound, "there is no command "+name+" here; docs/kubo-rpc.md lists those there are")
			return
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			Fail(w, http.StatusMethodNotAllowed, r.Method+" is not allowed here: commands are sent by POST")
			return
		}
		c, end, err := s.begin(w, r)
		defer end()
		if err == nil {
			err = run(c)
		}
		c.finish(err)
	})
}

// names are the commands in order.
func (s *Server) names() []string {
	out := make([]string, 0, len(s.all))
	for name := range s.all {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
