package api_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/api"
)

// crowd is a node whose peers change.
type crowd struct {
	*fake
	mu    sync.Mutex
	peers []api.Peer
}

func (c *crowd) Peers() []api.Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peers
}

func (c *crowd) now(peers ...api.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers = peers
}

func TestEventsTellWhoCameAndWent(t *testing.T) {
	const a, b = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf", "12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3"
	n := &crowd{fake: node("")}
	n.now(api.Peer{ID: a})
	srv := serveNode(t, n, api.Config{Timing: api.Timing{Poll: 10 * time.Millisecond}})
	res := ask(t, srv, "GET", "/api/v1/events", nil, func(r *http.Request) { r.Header.Set("Accept", "application/x-ndjson") })
	in := bufio.NewReader(res.Body)
	next := func(kind string, into any) { // the next line of that kind
		t.Helper()
		for {
			text, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(text, `{"type":"`+kind+`",`) {
				if err := json.Unmarshal([]byte(text), into); err != nil {
					t.Fatal(text, err)
				}
				return
			}
		}
	}
	var id api.IDLine
	if next("id", &id); id.State != "ready" {
		t.Errorf("got %+v", id)
	}
	var all api.PeersLine
	if next("peers", &all); len(all.Peers) != 1 || all.Peers[0].ID != a || !all.Peers[0].Up || len(all.Peers[0].Key) != 64 {
		t.Errorf("got %+v", all)
	}
	n.now(api.Peer{ID: a, Latency: 1}, api.Peer{ID: b}) // a latency is no news
	var p api.PeerLine
	if next("peer", &p); p.ID != b || !p.Up {
		t.Errorf("got %+v", p)
	}
	n.now(api.Peer{ID: a}, api.Peer{ID: b, Member: true})
	if next("peer", &p); p.ID != b || !p.Up || !p.Member {
		t.Errorf("got %+v", p)
	}
	n.now(api.Peer{ID: b, Member: true})
	if next("peer", &p); p.ID != a || p.Up {
		t.Errorf("got %+v", p)
	}
}

func TestEventsAreServerSentByDefault(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	res := ask(t, srv, "GET", "/api/v1/events", nil, nil)
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("content type %q", kind)
	}
	want := map[string]bool{"event: id": true, "event: peers": true, "event: update": true}
	for lines := bufio.NewScanner(res.Body); len(want) > 0 && lines.Scan(); {
		delete(want, lines.Text())
	}
	if len(want) > 0 {
		t.Errorf("not told: %v", want)
	}
}
