package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

// bench is a testnet's peer with a line that is only remembered.
type bench struct{ link api.Link }

func (b *bench) Link() api.Link            { return b.link }
func (b *bench) SetLink(to api.Link) error { b.link = to; return nil }
func (b *bench) Flow(ctx context.Context, to string, _ int64) (time.Duration, error) {
	if to == "hangs" {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 2 * time.Second, nil
}

// Everywhere but in a testnet there is nothing to slow a peer with.
func TestLabIsNowhereButInATestnet(t *testing.T) {
	routes := [][2]string{{"GET", "/api/v1/testnet/link"}, {"PUT", "/api/v1/testnet/link?rate=1"}, {"POST", "/api/v1/testnet/flow?to=x&bytes=1"}}
	for _, lab := range []api.Lab{nil, &bench{}} { // the second is the control
		srv := serve(t, node(""), api.Config{Lab: lab})
		for _, rt := range routes {
			res := ask(t, srv, rt[0], rt[1], nil, nil)
			if want := map[bool]int{true: 404, false: 200}[lab == nil]; res.StatusCode != want {
				t.Errorf("lab %v: %s %s: %d, want %d", lab != nil, rt[0], rt[1], res.StatusCode, want)
			}
		}
	}
}

func TestLinkIsSetAsAWhole(t *testing.T) {
	lab := &bench{}
	srv := serve(t, node(""), api.Config{Lab: lab, Timing: api.Timing{Ask: 50 * time.Millisecond}})
	for _, c := range []struct {
		query string
		want  api.Link
	}{
		{"?latency=200ms&jitter=50ms&rate=1000", api.Link{Latency: blocks.Seconds(200 * time.Millisecond), Jitter: blocks.Seconds(50 * time.Millisecond), Rate: 1000}},
		{"?rate=5", api.Link{Rate: 5}},
		{"", api.Link{}},
	} {
		var got api.Link
		res := ask(t, srv, "PUT", "/api/v1/testnet/link"+c.query, nil, nil)
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil || got != c.want || lab.link != c.want || got.Slow() != (c.query != "") {
			t.Errorf("%q: %+v, %v, want %+v", c.query, got, err, c.want)
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"PUT", "/api/v1/testnet/link?latency=1h", http.StatusBadRequest},
		{"PUT", "/api/v1/testnet/link?latency=-1s", http.StatusBadRequest},
		{"PUT", "/api/v1/testnet/link?rate=0", http.StatusBadRequest},
		{"PUT", "/api/v1/testnet/link?loss=1", http.StatusBadRequest},
		{"GET", "/api/v1/testnet/link?rate=1", http.StatusBadRequest},
		{"DELETE", "/api/v1/testnet/link", http.StatusMethodNotAllowed},
		{"POST", "/api/v1/testnet/flow?to=x", http.StatusBadRequest},
		{"POST", "/api/v1/testnet/flow?bytes=1", http.StatusBadRequest},
		{"POST", "/api/v1/testnet/flow?to=x&bytes=99999999999", http.StatusBadRequest},
		{"POST", "/api/v1/testnet/flow?to=hangs&bytes=1", http.StatusGatewayTimeout},
	} {
		if p := problem(t, ask(t, srv, c.method, c.path, nil, nil)); p.Status != c.status {
			t.Errorf("%s %s: %+v, want %d", c.method, c.path, p, c.status)
		}
	}
}
