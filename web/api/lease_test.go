package api_test

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

// lasts is a lease of leaf for d.
func lasts(d time.Duration) blocks.LeaseInfo {
	return blocks.LeaseInfo{Root: leaf, State: "active", Seq: 2, Expires: time.Unix(0, 0).Add(d), Replicas: 5, Bytes: 7}
}

func (f *trees) Leases(context.Context) iter.Seq2[blocks.LeaseInfo, error] {
	return func(yield func(blocks.LeaseInfo, error) bool) {
		if f.listErr != nil {
			yield(blocks.LeaseInfo{}, f.listErr)
		} else {
			yield(lasts(time.Hour), nil)
		}
	}
}
func (f *trees) Lease(_ context.Context, path string, o blocks.LeaseOptions) (blocks.LeaseInfo, error) {
	if path == "none" {
		return blocks.LeaseInfo{}, blocks.NotFound(leaf)
	}
	l := lasts(o.Expires)
	if o.Replicas > 0 {
		l.Replicas = o.Replicas
	}
	return l, nil
}
func (f *trees) Withdraw(_ context.Context, path string) (blocks.LeaseInfo, error) {
	l, err := f.Lease(context.Background(), path, blocks.LeaseOptions{Expires: time.Hour})
	l.State = "revoked"
	return l, err
}

func TestLeasesAreListedRenewedAndWithdrawn(t *testing.T) {
	srv := serve(t, node("x"), api.Config{})
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/api/v1/leases", 200, `[{"cid":"` + leaf.String()},
		{"POST", "/api/v1/leases?path=x&expires=720h", 200, `"expires":"1970-01-31T`},
		{"POST", "/api/v1/leases?path=x", 200, `"state":"active"`},
		{"POST", "/api/v1/leases?path=x&replicas=7", 200, `"replicas":7`},
		{"POST", "/api/v1/leases?path=x&replicas=21", 400, "1 to 20"},
		{"DELETE", "/api/v1/leases?path=x", 200, `"state":"revoked"`},
		{"DELETE", "/api/v1/leases?path=none", 404, api.CodeNotFound},
		{"POST", "/api/v1/leases?path=none", 404, api.CodeNotFound},
		{"POST", "/api/v1/leases", 400, "missing"},
		{"POST", "/api/v1/leases?path=x&expires=59s", 400, "at least 1m"},
		{"POST", "/api/v1/leases?path=x&expires=9601h", 400, "at most"},
		{"POST", "/api/v1/leases?path=x&expires=-1h", 400, "duration"},
		{"DELETE", "/api/v1/leases?path=x&expires=1h", 400, "no such parameter"},
		{"GET", "/api/v1/leases?path=x", 400, "no such parameter"},
	} {
		res := ask(t, srv, c.method, c.path, nil, nil)
		var body json.RawMessage
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != c.status || !strings.Contains(strings.ReplaceAll(string(body), `\"`, `"`), c.want) {
			t.Errorf("%s %s: %d %s, %v; want %d and %s", c.method, c.path, res.StatusCode, body, err, c.status, c.want)
		}
	}
	n := node("x")
	n.listErr = context.Canceled
	if res := ask(t, serve(t, n, api.Config{}), "GET", "/api/v1/leases", nil, nil); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a list that fails: %d", res.StatusCode)
	}
}

// A pin may ask for a lease too: its last line has it. That somebody is asked for how long or
// for how many copies without one is refused before anything is fetched.
func TestAPinMayAskForALease(t *testing.T) {
	srv := serve(t, node("x"), api.Config{})
	last := lastLine(t, ask(t, srv, "POST", "/api/v1/pins?path=x&lease=true&expires=720h&replicas=7", nil, nil))
	own, _ := last["granted"].(map[string]any)
	if last["type"] != api.LineSummary || own["replicas"] != float64(7) || own["expires"] != "1970-01-31T00:00:00Z" && own["expires"] == nil {
		t.Errorf("%v", last)
	}
	if last := lastLine(t, ask(t, srv, "POST", "/api/v1/pins?path=x", nil, nil)); last["granted"] != nil {
		t.Errorf("a lease nobody asked for: %v", last)
	}
	for _, bad := range []string{"expires=720h", "replicas=3", "lease=true&replicas=21", "lease=true&expires=1s", "lease=maybe"} {
		if res := ask(t, srv, "POST", "/api/v1/pins?path=x&"+bad, nil, nil); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, res.StatusCode)
		}
	}
}
