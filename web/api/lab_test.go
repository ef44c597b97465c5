package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

// bench is a testnet's peer with a line that is only remembered.
type bench struct {
	link api.Link
	lost int
}

func (b *bench) Link() api.Link            { return b.link }
func (b *bench) SetLink(to api.Link) error { b.link = to; return nil }
func (b *bench) Flow(ctx context.Context, to string, _ int64) (time.Duration, error) {
	if to == "hangs" {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 2 * time.Second, nil
}

func (b *bench) Kept(_ context.Context, cs []cid.Cid) ([]bool, error) {
	return slices.Repeat([]bool{b.lost == 0}, len(cs)), nil
}
func (b *bench) Lose(_ context.Context, cs []cid.Cid) error { b.lost += len(cs); return nil }

const aCID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

// Everywhere but in a testnet there is nothing to slow a peer with, or to take blocks from it.
func TestLabIsNowhereButInATestnet(t *testing.T) {
	routes := [][2]string{{"GET", "/api/v1/testnet/link"}, {"PUT", "/api/v1/testnet/link?rate=1"}, {"POST", "/api/v1/testnet/flow?to=x&bytes=1"},
		{"GET", "/api/v1/testnet/blocks?cids=" + aCID}, {"DELETE", "/api/v1/testnet/blocks?cids=" + aCID}}
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

// A DELETE tells what there was, takes it, and a GET takes nothing.
func TestBlocksOfATestnetsPeerAreCountedAndTaken(t *testing.T) {
	lab := &bench{}
	srv := serve(t, node(""), api.Config{Lab: lab})
	for i, c := range []struct {
		method string
		kept   bool
		lost   int
	}{{"GET", true, 0}, {"DELETE", true, 2}, {"GET", false, 2}} {
		var got api.Kept
		res := ask(t, srv, c.method, "/api/v1/testnet/blocks?cids="+aCID+","+aCID, nil, nil)
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil || !slices.Equal(got.Kept, []bool{c.kept, c.kept}) || lab.lost != c.lost {
			t.Errorf("%d: %s: %v, %v, %d are lost; want %t and %d", i, c.method, got.Kept, err, lab.lost, c.kept, c.lost)
		}
	}
	for _, q := range []string{"", "?cids=", "?cids=x", "?cids=" + aCID + ",", "?cid=" + aCID, "?cids=" + strings.Repeat(aCID+",", 256) + aCID} {
		if p := problem(t, ask(t, srv, "DELETE", "/api/v1/testnet/blocks"+q, nil, nil)); p.Status != http.StatusBadRequest {
			t.Errorf("%.40q: %+v", q, p)
		}
	}
}
