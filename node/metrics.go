package node

import (
	"context"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/prometheus/client_golang/prometheus"
)

// gauges are what a peer counts about itself: docs/metrics.md lists them, and a
// test holds the two together. Most are read from the parts when somebody asks;
// the parts know nothing of Prometheus.
type gauges struct {
	reg      *prometheus.Registry
	placed   prometheus.Histogram
	first    prometheus.Histogram
	restored prometheus.Histogram
	panics   map[string]*atomic.Int64 // by part, of those that tell [Node.Caught]
}

// The parts whose panics are told to [Node.Caught]. pubsub counts its own.
const (
	PartWire    = "wire"
	PartAPI     = "api"
	PartGateway = "gateway"
)

// Caught counts a panic that was caught in a part. It is safe for concurrent use; a part
// that is not one of those above is counted nowhere.
func (n *Node) Caught(part string) {
	if c := n.count.panics[part]; c != nil {
		c.Add(1)
	}
}

// FirstByte notes how long a reader waited for the first byte of a file that was not
// opened by [Node.Get], which notes it itself.
func (n *Node) FirstByte(took time.Duration) { n.count.first.Observe(took.Seconds()) }

// Metrics is the registry of n. It is n's own, so that two peers in a process
// count apart; the caller may register more in it.
func (n *Node) Metrics() *prometheus.Registry { return n.count.reg }

func (n *Node) register(usage func(context.Context) (int64, error)) error {
	reg := prometheus.NewRegistry()
	seconds := []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	n.count = gauges{
		reg: reg,
		placed: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cairn_put_replicate_seconds", Buckets: seconds,
			Help: "Time from a file being durable here to every block having the copies that its put waited for."}),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cairn_get_first_byte_seconds", Buckets: seconds,
			Help: "Time from asking for a file to its first byte, through the API and the gateway."}),
		restored: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cairn_repair_seconds", Buckets: append(seconds, 900, 3600),
			Help: "Time from finding that a block lacks copies to having made them."}),
		panics: map[string]*atomic.Int64{PartWire: {}, PartAPI: {}, PartGateway: {}},
	}
	gauge := func(name, help string, labels prometheus.Labels, f func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(f()) })
	}
	counter := func(name, help string, labels prometheus.Labels, f func() int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(f()) })
	}
	type labels = prometheus.Labels
	all := []prometheus.Collector{
		n.count.placed, n.count.first, n.count.restored,
		gauge("cairn_build_info", "1; the labels say what runs.", labels{"version": Version, "go": runtime.Version()}, func() int64 { return 1 }),
		gauge("cairn_blocks", "Blocks kept here, by why.", labels{"state": "held"}, n.ledger.Count),
		gauge("cairn_blocks", "Blocks kept here, by why.", labels{"state": "surplus"}, n.set.Surplus),
		gauge("cairn_blocks_under_replicated", "Blocks held here that lack copies which this peer is to make.", nil, func() int64 { return n.set.Short().Blocks }),
		gauge("cairn_replicas_missing", "Copies that those lack.", nil, func() int64 { return n.set.Short().Copies }),
		gauge("cairn_repair_queue", "Blocks of those whose copies wait for their turn.", nil, func() int64 { return n.set.Short().Queued }),
		gauge("cairn_peers", "Peers connected.", nil, func() int64 { return int64(len(n.host.Network().Peers())) }),
		counter("cairn_lookups_total", "Times that the network was asked who is closest to a key.", nil, n.router.Lookups),
		counter("cairn_repair_blocks_total", "Copies that repair has made: given to peers that lacked them, or fetched here after a comparison.", nil, func() int64 { return n.set.Repaired().Blocks }),
		counter("cairn_repair_bytes_total", "Bytes of those copies.", nil, func() int64 { return n.set.Repaired().Bytes }),
		counter("cairn_audits_total", "Blocks that neighbours were asked to prove.", nil, func() int64 { return n.set.Audited().Asked }),
		counter("cairn_audits_failed_total", "Blocks that neighbours said they had and could not prove.", nil, func() int64 { return n.set.Audited().Failed }),
		counter("cairn_audits_unanswered_total", "Blocks that neighbours were asked to prove, and no answer came.", nil, func() int64 { return n.set.Audited().Unanswered }),
		gauge("cairn_peers_distrusted", "Peers that failed an audit less than a day ago: their copies do not count.", nil, func() int64 { return int64(len(n.set.Distrusted())) }),
		counter("cairn_records_judged_total", "Records that this peer was brought and did not take as they were.", labels{"result": "refused"}, func() int64 { refused, _ := n.recs.Judged(); return refused }),
		counter("cairn_records_judged_total", "Records that this peer was brought and did not take as they were.", labels{"result": "disputed"}, func() int64 { _, disputed := n.recs.Judged(); return disputed }),
		gauge("cairn_handoff", "Blocks for which some peer has no room, as far as is remembered here.", labels{"kind": "pointers"}, func() int64 { return int64(n.set.HandedOff().Pointers) }),
		gauge("cairn_handoff", "Blocks for which some peer has no room, as far as is remembered here.", labels{"kind": "refused"}, func() int64 { return int64(n.set.HandedOff().Refused) }),
		gauge("cairn_handoff", "Blocks for which some peer has no room, as far as is remembered here.", labels{"kind": "standing"}, func() int64 { return int64(n.set.HandedOff().Standing) }),
		counter("cairn_displaced_blocks_total", "Blocks of publishers above their share for which others below theirs had no room.", labels{"result": "gone"}, func() int64 { return n.set.GaveWay().Blocks }),
		counter("cairn_displaced_blocks_total", "Blocks of publishers above their share for which others below theirs had no room.", labels{"result": "kept"}, func() int64 { return n.set.GaveWay().Kept }),
		counter("cairn_leases_refused_total", "Times that a block was refused because it is held under 16 leases of others.", nil, n.set.Overleased),
		counter("cairn_net_refused_total", "Times that a block was refused because its net had brought as much under new leases as it may a day.", nil, n.set.Rationed),
		gauge("cairn_quota_bytes", "Space for the blocks of others.", labels{"kind": "used"}, func() int64 { used, _ := n.set.Space(); return used }),
		gauge("cairn_quota_bytes", "Space for the blocks of others.", labels{"kind": "limit"}, func() int64 { _, limit := n.set.Space(); return limit }),
		counter("cairn_bitswap_bytes_total", "Bytes of blocks that went to and came from others by bitswap.", labels{"dir": "in"}, func() int64 { return n.swapped().in }),
		counter("cairn_bitswap_bytes_total", "Bytes of blocks that went to and came from others by bitswap.", labels{"dir": "out"}, func() int64 { return n.swapped().out }),
		counter("cairn_panics_total", "Faults of this program that were caught, by part.", labels{"part": "pubsub"}, func() int64 { return int64(n.bus.Counts().Panics) }),
	}
	for reason, f := range map[string]func() int64{
		"put":     func() int64 { return n.brought.Brought(wire.Put) },
		"fanout":  func() int64 { return n.brought.Brought(wire.Fanout) },
		"repair":  func() int64 { return n.brought.Brought(wire.Repair) },
		"handoff": func() int64 { return n.brought.Brought(wire.Handoff) },
		"cut":     n.brought.Cut,
	} {
		all = append(all, counter("cairn_brought_bytes_total", "Bytes of blocks that others brought here to be kept, by why.", labels{"reason": reason}, f))
	}
	for result, f := range map[string]func() uint64{
		"heard":    func() uint64 { return n.bus.Counts().Heard },
		"rejected": func() uint64 { return n.bus.Counts().Rejected },
		"ignored":  func() uint64 { return n.bus.Counts().Ignored },
		"missed":   func() uint64 { return n.bus.Counts().Missed },
	} {
		all = append(all, counter("cairn_gossip_messages_total", "Announcements, by what became of them.",
			labels{"topic": "updates", "result": result}, func() int64 { return int64(f()) }))
	}
	for result, f := range map[string]func() uint64{
		"heard":  func() uint64 { return n.bus.Counts().AppHeard },
		"excess": func() uint64 { return n.bus.Counts().AppExcess },
		"missed": func() uint64 { return n.bus.Counts().AppMissed },
	} {
		all = append(all, counter("cairn_topic_messages_total", "Messages on topics of applications, by what became of them.",
			labels{"result": result}, func() int64 { return int64(f()) }))
	}
	for part, c := range n.count.panics {
		all = append(all, counter("cairn_panics_total", "Faults of this program that were caught, by part.", labels{"part": part}, c.Load))
	}
	if usage != nil {
		all = append(all, &diskGauge{usage, prometheus.NewDesc("cairn_bytes", "Bytes of the disk that blocks take.", nil, nil)})
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// usageTime is how long the disk may take to say how full it is.
const usageTime = time.Second

// diskGauge is the one gauge that may not be known.
type diskGauge struct {
	usage func(context.Context) (int64, error)
	desc  *prometheus.Desc
}

func (d *diskGauge) Describe(ch chan<- *prometheus.Desc) { ch <- d.desc }

func (d *diskGauge) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), usageTime)
	defer cancel()
	if n, err := d.usage(ctx); err == nil {
		ch <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, float64(n))
	}
}

// File is an open file that says when its first byte came.
type File struct {
	*dag.File
	first func()
}

func (n *Node) timed(f *dag.File, opened time.Time) *File {
	return &File{f, sync.OnceFunc(func() { n.count.first.Observe(time.Since(opened).Seconds()) })}
}

// Read is dag.File's.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if n > 0 {
		f.first()
	}
	return n, err
}

// WriteTo is dag.File's.
func (f *File) WriteTo(w io.Writer) (int64, error) { return f.File.WriteTo(&noticed{w, f.first}) }

// noticed tells of the first bytes that are written.
type noticed struct {
	w     io.Writer
	first func()
}

func (n *noticed) Write(p []byte) (int, error) {
	if len(p) > 0 {
		n.first()
	}
	return n.w.Write(p)
}
