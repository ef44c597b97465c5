package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
)

// metric adds up what every live peer of w serves under a name, without its labels.
func (n network) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	net, err := loadTestnet(n.dir, n.name)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range net.Peers {
		sum += m.metric(t, name)
	}
	return sum
}

// metric is what m serves under a name; 0 when it does not live.
func (m member) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	token, err := os.ReadFile(node.HomeAt(m.Home).TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.API+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0 // it does not live
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key == name {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// spread puts files of 256 KiB through p0 that every holder has when it returns.
func (n network) spread(t *testing.T, files int) (roots []string, size int64) {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{3})
	for i := range files {
		data := make([]byte, 256<<10)
		_, _ = rng.Read(data)
		rc, err := n.put(t.Context(), "p0", data, "--wait", "full")
		if err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
		roots, size = append(roots, rc.Root.String()), size+int64(len(data))
	}
	return roots, size
}

// Three of twelve peers are killed at once: within a minute every block has five proven
// copies again, and the copies cost little more than was lost.
func TestThreePeersAreKilledAtOnce(t *testing.T) {
	wanted(t, "CAIRN_ACCEPTANCE")
	w := up(t, 12)
	roots, size := w.spread(t, 30)
	stored := w.metric(t, `cairn_quota_bytes{kind="used"}`)
	if _, err := w.run(t.Context(), nil, "testnet", "kill", "--name", w.name, "p3", "p6", "p9"); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	lost := stored - w.metric(t, `cairn_quota_bytes{kind="used"}`)
	for _, root := range roots {
		var h api.Health
		if err := w.ask(t.Context(), &h, "health", "--wait", "--timeout", "60s", "--peer", "p1@"+w.name, root); err != nil {
			t.Fatalf("%s: %v", root, err)
		}
		if h.Min < 5 {
			t.Errorf("%s: %s", root, h.Sentence)
		}
	}
	took, made := time.Since(killed), w.metric(t, "cairn_repair_bytes_total")
	t.Logf("FIGURE %d files, %.1f MB, 3 of 12 killed: whole after %.1f s; %.1f MB were lost, %.1f MB copied", len(roots), float64(size)/1e6, took.Seconds(), lost/1e6, made/1e6)
	if took > time.Minute || lost == 0 || made > 1.5*lost {
		t.Errorf("whole after %s, %.0f bytes lost and %.0f copied", took, lost, made)
	}
}

// Each of eight peers in turn is stopped as a service manager does and started again
// within its grace: every other one hears that it stops, and next to nothing is copied.
func TestPeersAreRestartedInTurn(t *testing.T) {
	wanted(t, "CAIRN_ACCEPTANCE")
	const peers = 8
	w := up(t, peers)
	roots, _ := w.spread(t, 20)
	time.Sleep(15 * time.Second) // what a put has left to do is done
	before := w.said(t, "copy restored", "")
	for i := range peers {
		net, err := loadTestnet(w.dir, w.name)
		if err != nil {
			t.Fatal(err)
		}
		m := net.Peers[i]
		if err := m.signal(terminate); err != nil {
			t.Fatal(err)
		}
		if !m.gone(t.Context(), 15*time.Second) {
			t.Fatalf("%s did not stop", m.Name)
		}
		if heard := w.said(t, "member stops", m.ID); heard < peers-2 {
			t.Errorf("%s stopped, and %d of %d others heard of it", m.Name, heard, peers-1)
		}
		if _, err := w.run(t.Context(), nil, "testnet", "start", "--name", w.name, m.Name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
	}
	time.Sleep(15 * time.Second) // more than a grace
	copied := w.said(t, "copy restored", "") - before
	t.Logf("FIGURE %d peers restarted in turn: %d copies made, of %d files of one block with 5 each", peers, copied, len(roots))
	if copied*20 > 5*len(roots) {
		t.Errorf("%d copies made", copied)
	}
}

// said counts the lines of all logs that have both texts.
func (n network) said(t *testing.T, what, of string) (lines int) {
	t.Helper()
	net, err := loadTestnet(n.dir, n.name)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range net.Peers {
		log, err := os.ReadFile(m.logFile())
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(log) {
			if bytes.Contains(line, []byte(what)) && bytes.Contains(line, []byte(of)) {
				lines++
			}
		}
	}
	return lines
}
