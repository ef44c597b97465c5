package node

import (
	"fmt"

	"github.com/cairn-network/cairn/node/host"
	"github.com/prometheus/client_golang/prometheus"
)

// show lets n's metrics tell of t, which counts for its host.
func (n *Node) show(t *host.Traffic) error {
	for dir, f := range map[string]func() int64{"in": t.Received, "out": t.Sent} {
		c := prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "cairn_net_bytes_total", ConstLabels: prometheus.Labels{"dir": dir},
			Help: "Bytes that streams to other peers carried, before encryption.",
		}, func() float64 { return float64(f()) })
		if err := n.Metrics().Register(c); err != nil {
			return fmt.Errorf("node: metrics: %w", err)
		}
	}
	for _, f := range host.Families() {
		for dir, of := range map[string]func() int64{
			"in":  func() int64 { in, _ := t.Of(f); return in },
			"out": func() int64 { _, out := t.Of(f); return out },
		} {
			c := prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "cairn_protocol_bytes_total", ConstLabels: prometheus.Labels{"protocol": f.String(), "dir": dir},
				Help: "Bytes that streams to other peers carried, by what they were for.",
			}, func() float64 { return float64(of()) })
			if err := n.Metrics().Register(c); err != nil {
				return fmt.Errorf("node: metrics: %w", err)
			}
		}
	}
	return nil
}
