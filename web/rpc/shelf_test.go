package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/rpc"
	"github.com/ipfs/go-cid"
)

type psaCall func(method, path, body string, into any) int

// oneRun is one run of a pinning service of p whose requests stand in dir; begin starts its
// workers and stop ends it, calls then and waits for them.
func oneRun(t *testing.T, p *peer, dir string) (do psaCall, begin func(), stop func(then ...func())) {
	t.Helper()
	s := rpc.New(p, rpc.Config{Dir: dir, Work: 1})
	srv := httptest.NewServer(api.New(p, api.Config{Token: token, Mounts: []api.Mount{{Prefix: rpc.PSAPrefix, Serve: s.PSA(),
		Fail: func(w http.ResponseWriter, status int, _, d string) { rpc.FailPSA(w, status, d) }}}}))
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	begin = func() { go func() { done <- s.Run(ctx) }() }
	ended := false
	stop = func(then ...func()) {
		if ended {
			return
		}
		ended = true
		cancel()
		for _, f := range then {
			f()
		}
		srv.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return func(method, path, body string, into any) int {
		t.Helper()
		res, answer := send(t, srv, method, "/psa"+path, "application/json", strings.NewReader(body))
		if into != nil {
			if err := json.Unmarshal([]byte(answer), into); err != nil {
				t.Fatalf("%s %s: %d %q: %v", method, path, res.StatusCode, answer, err)
			}
		}
		return res.StatusCode
	}, begin, stop
}

// In the first run one request is met, one fails, one is being worked at and one waits. The
// second run, of a peer with the same pins, knows all of them and goes on.
func TestRequestsOutliveThePeer(t *testing.T) {
	for name, kept := range map[string]bool{"on a disk": true, "control: in memory": false} {
		t.Run(name, func(t *testing.T) {
			dir := ""
			if kept {
				dir = filepath.Join(t.TempDir(), "requests")
			}
			p := newPeer()
			met := plant(t, p, "met")
			stuck, waits := plant(t, p, "stuck"), plant(t, p, "waits")
			fails := blocks.New(cid.Raw, []byte("nowhere")).Cid().String()
			held := make(chan struct{})
			p.hurts(func(c cid.Cid) error {
				if c.String() == stuck {
					<-held
					return errors.New("the peer stops")
				}
				return nil
			})
			do, begin, stop := oneRun(t, p, dir)
			begin()
			post := func(id, more string) {
				if status := do("POST", "/pins", fmt.Sprintf(`{"cid":%q%s}`, id, more), nil); status != 202 {
					t.Errorf("%s: %d", id, status)
				}
			}
			post(met, `,"name":"first","meta":{"app":"one"},"origins":["/ip4/127.0.0.1/tcp/9/p2p/x"]`)
			until(t, do, met, "pinned")
			post(fails, "")
			why := until(t, do, fails, "failed").Info["status_details"]
			post(stuck, "")
			until(t, do, stuck, "pinning")
			post(waits, `,"name":"last"`)
			var before rpc.PinStatus
			do("GET", "/pins/"+met, "", &before)
			stop(func() { close(held) })
			p.hurt.Store(nil)

			do, begin, stop = oneRun(t, p, dir)
			defer func() { begin(); stop() }()
			var all results
			do("GET", "/pins?status=queued,pinning,pinned,failed", "", &all)
			if !kept {
				if all.Count != 1 { // the pin alone
					t.Errorf("%+v", all)
				}
				return
			}
			if all.Count != 4 {
				t.Errorf("%d requests, want 4: %+v", all.Count, all)
			}
			var after rpc.PinStatus
			do("GET", "/pins/"+met, "", &after)
			if a, b := fmt.Sprint(after), fmt.Sprint(before); a != b || after.Pin.Meta["app"] != "one" || after.Pin.Name != "first" {
				t.Errorf("%s\nwas %s", a, b)
			}
			for query, count := range map[string]int{"?meta=%7B%22app%22:%22one%22%7D": 1, "?meta=%7B%22app%22:%22two%22%7D": 0, "?status=queued": 2, "?status=failed": 1} {
				if do("GET", "/pins"+query, "", &all); all.Count != count {
					t.Errorf("%s: %d, want %d", query, all.Count, count)
				}
			}
			if st := until(t, do, fails, "failed"); st.Info["status_details"] != why {
				t.Errorf("why it failed: %q, was %q", st.Info, why)
			}
		})
	}
}

func TestWhatWaitedIsPinnedByTheNextRun(t *testing.T) {
	dir, p := t.TempDir(), newPeer()
	var ids []string
	for i := range 5 {
		ids = append(ids, plant(t, p, fmt.Sprint("block", i)))
	}
	do, begin, stop := oneRun(t, p, dir) // which never begins to work
	for _, id := range ids {
		do("POST", "/pins", fmt.Sprintf(`{"cid":%q}`, id), nil)
	}
	if status := do("DELETE", "/pins/"+ids[4], "", nil); status != 202 {
		t.Errorf("delete: %d", status)
	}
	begin()
	stop()
	if err := os.WriteFile(filepath.Join(dir, "broken.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	do, begin, stop = oneRun(t, p, dir)
	begin()
	defer stop()
	for _, id := range ids[:4] {
		until(t, do, id, "pinned")
	}
	if status := do("GET", "/pins/"+ids[4], "", nil); status != 404 {
		t.Errorf("what was dropped: %d", status)
	}
	if _, _, err := p.Unpin(t.Context(), ids[0]); err != nil { // by other means
		t.Fatal(err)
	}
	if status := do("GET", "/pins/"+ids[0], "", nil); status != 404 {
		t.Errorf("what is pinned no more: %d", status)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 4 { // three, and the broken one
		t.Errorf("%q are left: %v", files, err)
	}
}

func TestANewNameForWhatIsPinnedIsTaken(t *testing.T) {
	p := newPeer()
	do, begin, stop := oneRun(t, p, t.TempDir())
	begin()
	defer stop()
	id := plant(t, p, "x")
	for _, name := range []string{"one", "two"} {
		do("POST", "/pins", fmt.Sprintf(`{"cid":%q,"name":%q}`, id, name), nil)
		if st := until(t, do, id, "pinned"); st.Pin.Name != name {
			t.Errorf("%+v, want %s", st, name)
		}
	}
	var all results
	if do("GET", "/pins", "", &all); all.Count != 1 {
		t.Errorf("%+v", all)
	}
}
