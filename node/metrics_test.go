package node_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	dto "github.com/prometheus/client_model/go"
)

func gather(t *testing.T, n *node.Node) map[string]*dto.MetricFamily {
	t.Helper()
	fs, err := n.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, f := range fs {
		out[f.GetName()] = f
	}
	return out
}

// value is the gauge or counter name whose labels hold label=of; "" is any.
func value(t *testing.T, n *node.Node, name, of string) float64 {
	t.Helper()
	for _, m := range gather(t, n)[name].GetMetric() {
		ok := of == ""
		for _, l := range m.GetLabel() {
			ok = ok || l.GetValue() == of
		}
		if ok {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Fatalf("no metric %s of %q", name, of)
	return 0
}

// The list in docs/metrics.md is what a peer exports: names, types, labels, meaning.
func TestMetricsAreThoseOfTheList(t *testing.T) {
	data, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		if row := strings.Split(line, "|"); len(row) == 6 && strings.HasPrefix(row[1], " `") {
			for i := range row {
				row[i] = strings.TrimSpace(row[i])
			}
			listed[strings.Trim(row[1], "`")] = row[2:5]
		}
	}
	fs := gather(t, real(t))
	if got, want := slices.Sorted(maps.Keys(fs)), slices.Sorted(maps.Keys(listed)); !slices.Equal(got, want) {
		t.Errorf("exported\n%q\nlisted\n%q", got, want)
	}
	for name, f := range fs {
		row := listed[name]
		if row == nil {
			continue
		}
		if typ := strings.ToLower(f.GetType().String()); row[0] != typ || row[2] != f.GetHelp() {
			t.Errorf("%s: %s %q, listed as %s %q", name, typ, f.GetHelp(), row[0], row[2])
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !strings.Contains(row[1], "`"+l.GetName()+"`") {
					t.Errorf("%s: label %s is not listed", name, l.GetName())
				}
				if l.GetName() != "version" && l.GetName() != "go" && l.GetName() != "topic" && l.GetName() != "part" && !strings.Contains(row[1], "`"+l.GetValue()+"`") {
					t.Errorf("%s: %s=%s is not listed", name, l.GetName(), l.GetValue())
				}
			}
		}
	}
}

// What is shipped to watch a peer with asks for metrics and labels that there are.
func TestMonitoringAsksForWhatThereIs(t *testing.T) {
	list, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`cairn_[a-z_]+`)
	suffix := regexp.MustCompile(`_bucket$`) // of a histogram
	for _, file := range []string{"../docs/monitoring/grafana.json", "../docs/monitoring/alerts.yml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(data) {
			t.Errorf("%s is no JSON", file)
		}
		names := name.FindAllString(string(data), -1)
		if len(names) == 0 {
			t.Errorf("%s asks for nothing", file)
		}
		for _, n := range names {
			if !strings.Contains(string(list), "| `"+suffix.ReplaceAllString(n, "")+"` |") {
				t.Errorf("%s asks for %s, which there is not", file, n)
			}
		}
	}
}

// What they say is so: two peers, one of which puts a file that the other holds.
func TestMetricsTellTheTruth(t *testing.T) {
	a := real(t)
	b := real(t, a.Status().Addrs...)
	until(t, "two peers that know each other", func() bool { return a.State() == "ready" && b.State() == "ready" })
	want := blockstest.Random(9, 3<<20)
	rc, err := a.Put(t.Context(), bytes.NewReader(want), blocks.PutOptions{Announce: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := b.Get(t.Context(), rc.Root.String())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(io.Discard, f); err != nil {
		t.Fatal(err)
	}
	until(t, "b hears the announcement", func() bool { return value(t, b, "cairn_gossip_messages_total", "heard") == 1 })
	for _, c := range []struct {
		n        *node.Node
		name, of string
		want     float64
	}{
		{a, "cairn_blocks", "held", 4}, {b, "cairn_blocks", "held", 4}, {a, "cairn_peers", "", 1},
		{a, "cairn_brought_bytes_total", "put", 0}, {b, "cairn_brought_bytes_total", "repair", 0}, {b, "cairn_brought_bytes_total", "cut", 0},
		{a, "cairn_put_replicate_seconds", "", 1}, {b, "cairn_put_replicate_seconds", "", 0},
		{b, "cairn_get_first_byte_seconds", "", 1}, {a, "cairn_get_first_byte_seconds", "", 0},
		{a, "cairn_quota_bytes", "used", 0}, {a, "cairn_gossip_messages_total", "rejected", 0}, {a, "cairn_panics_total", "", 0},
	} {
		if got := value(t, c.n, c.name, c.of); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.name, c.of, got, c.want)
		}
	}
	for _, name := range []string{"cairn_bytes", "cairn_quota_bytes"} {
		if got := value(t, b, name, map[string]string{"cairn_quota_bytes": "used"}[name]); got < 3<<20 || got > 4<<20 {
			t.Errorf("%s is %v, b holds 3 MiB", name, got)
		}
	}
	if got := value(t, b, "cairn_brought_bytes_total", "put"); got < 3<<20 || got > 3<<20+1000 {
		t.Errorf("%v bytes were brought to b, want 3 MiB and the root", got)
	}
	carried := map[string]float64{} // to b, by what it was for
	for _, m := range gather(t, b)["cairn_protocol_bytes_total"].GetMetric() {
		if l := m.GetLabel(); l[0].GetValue() == "in" {
			carried[l[1].GetValue()] = m.GetCounter().GetValue()
		}
	}
	if carried["blocks"] < 3<<20 || carried["view"] == 0 || carried["gossip"] == 0 || carried["bitswap"] != 0 {
		t.Errorf("carried to b: %v", carried)
	}
	if int64(value(t, b, "cairn_blocks", "held")) != b.Status().Held {
		t.Error("status and metrics differ")
	}
}

// What repair gives is counted where it is given and what it fetches where it is fetched, and
// nothing is without repair.
func TestRepairIsCounted(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	for _, repair := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			cfg := nodetest.Config()
			cfg.Replica.Repair = repair
			w := nodetest.New(t, 10, cfg)
			rc, err := w.Nodes[0].Put(t.Context(), bytes.NewReader(blockstest.Random(7, 1000)), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // until then who passes the put on looks for another holder itself
			for _, i := range w.Holders(rc.Root) {
				if i != 0 {
					w.Kill(i)
					break
				}
			}
			time.Sleep(5 * time.Minute)
			var copies, size float64
			for _, i := range w.Alive() {
				copies += value(t, w.Nodes[i], "cairn_repair_blocks_total", "")
				size += value(t, w.Nodes[i], "cairn_repair_bytes_total", "")
			}
			if (copies > 0) != repair || size != copies*1000 {
				t.Errorf("repair %t: %v copies, %v bytes", repair, copies, size)
			}
		})
	}
}

// A panic is counted for its part, and the first byte of another reader with those of Get.
func TestWhatOthersTellOfIsCounted(t *testing.T) {
	n := real(t)
	for i, part := range []string{node.PartWire, node.PartAPI, node.PartGateway} {
		for range i + 1 {
			n.Caught(part)
		}
		if got := value(t, n, "cairn_panics_total", part); got != float64(i+1) {
			t.Errorf("%s: %v, want %d", part, got, i+1)
		}
	}
	n.FirstByte(time.Second)
	if got := value(t, n, "cairn_get_first_byte_seconds", ""); got != 1 {
		t.Errorf("first bytes: %v, want 1", got)
	}
}
