package rpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/rpc"
	"github.com/ipfs/go-cid"
)

type results struct {
	Count   int
	Results []rpc.PinStatus
}

// service is the Pinning Service API of p.
func service(t *testing.T, p *peer) (do func(method, path, body string, into any) int, run func()) {
	t.Helper()
	srv, s := serve(t, p, false)
	do = func(method, path, body string, into any) int {
		t.Helper()
		var in io.Reader
		if body != "" {
			in = strings.NewReader(body)
		}
		res, answer := send(t, srv, method, "/psa"+path, "application/json", in)
		if into != nil {
			if err := json.Unmarshal([]byte(answer), into); err != nil {
				t.Fatalf("%s %s: %d %q: %v", method, path, res.StatusCode, answer, err)
			}
		}
		return res.StatusCode
	}
	return do, func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func plant(t *testing.T, p *peer, text string) string {
	t.Helper()
	b := blocks.New(cid.Raw, []byte(text))
	if err := p.bs.AddBlock(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return b.Cid().String()
}

// until asks for a request until it is in that state, for 20 s at most.
func until(t *testing.T, do func(method, path, body string, into any) int, id, state string) (st rpc.PinStatus) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if do("GET", "/pins/"+id, "", &st); st.Status == state {
			return st
		}
		if time.Now().After(end) {
			t.Fatalf("%s is %+v, want %s", id, st, state)
		}
	}
}

func TestARequestIsQueuedThenPinnedThenGone(t *testing.T) {
	p := newPeer()
	do, run := service(t, p)
	id := plant(t, p, "something")
	var st rpc.PinStatus
	if status := do("POST", "/pins", fmt.Sprintf(`{"cid":%q,"name":"n","origins":["/ip4/127.0.0.1/tcp/9/p2p/x"],"meta":{"a":"b"}}`, id), &st); status != 202 || st.Status != "queued" || st.ID != id || len(st.Delegates) != 1 {
		t.Fatalf("%d %+v", status, st)
	}
	run()
	if st = until(t, do, id, "pinned"); st.Pin.Name != "n" || st.Created.IsZero() {
		t.Errorf("%+v", st)
	}
	if len(p.pins) != 1 {
		t.Errorf("%d pins", len(p.pins))
	}
	if status := do("DELETE", "/pins/"+id, "", nil); status != 202 || len(p.pins) != 0 {
		t.Errorf("delete: %d, %d pins", status, len(p.pins))
	}
	for _, method := range []string{"GET", "DELETE"} {
		var e struct {
			Error struct{ Reason, Details string }
		}
		if status := do(method, "/pins/"+id, "", &e); status != 404 || e.Error.Reason != "NOT_FOUND" || e.Error.Details == "" {
			t.Errorf("%s of what is gone: %d %+v", method, status, e)
		}
	}
}

func TestARequestThatCannotBeMetFailsAndMayBeMadeAgain(t *testing.T) {
	p := newPeer()
	do, run := service(t, p)
	run()
	b := blocks.New(cid.Raw, []byte("not here yet"))
	ask := fmt.Sprintf(`{"cid":%q}`, b.Cid())
	do("POST", "/pins", ask, nil)
	if st := until(t, do, b.Cid().String(), "failed"); !strings.Contains(st.Info["status_details"], "could not find") {
		t.Errorf("it is not said why: %+v", st)
	}
	plant(t, p, "not here yet")
	do("POST", "/pins", ask, nil)
	until(t, do, b.Cid().String(), "pinned")
}

func TestARequestIsReplaced(t *testing.T) {
	p := newPeer()
	do, run := service(t, p)
	run()
	one, two := plant(t, p, "1"), plant(t, p, "2")
	do("POST", "/pins", fmt.Sprintf(`{"cid":%q}`, one), nil)
	until(t, do, one, "pinned")
	var st rpc.PinStatus
	if status := do("POST", "/pins/"+one, fmt.Sprintf(`{"cid":%q,"name":"second"}`, two), &st); status != 202 || st.ID != two {
		t.Fatalf("%d %+v", status, st)
	}
	until(t, do, two, "pinned")
	if status := do("GET", "/pins/"+one, "", nil); status != 404 {
		t.Errorf("the old one: %d", status)
	}
}

func TestRequestsAreFoundByWhatTheSpecificationNames(t *testing.T) {
	p := newPeer()
	do, _ := service(t, p)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var ids []string
	for i := range 25 {
		id := plant(t, p, fmt.Sprint("block", i))
		ids = append(ids, id)
		root := cid.MustParse(id)
		p.pins[root] = blocks.Pin{Root: root, Name: fmt.Sprintf("Name %d", i), Time: begin.Add(time.Duration(i) * time.Hour)}
	}
	do("POST", "/pins", `{"cid":"`+blocks.New(cid.Raw, []byte("waits")).Cid().String()+`","name":"waits"}`, nil)
	at := func(i int) string {
		return url.QueryEscape(begin.Add(time.Duration(i) * time.Hour).Format(time.RFC3339))
	}
	for query, want := range map[string]struct{ count, here int }{
		"":                                     {25, 10},
		"?limit=1000":                          {25, 25},
		"?before=" + at(5):                     {5, 5},
		"?after=" + at(19):                     {5, 5},
		"?name=Name+7":                         {1, 1},
		"?name=name+7":                         {0, 0},
		"?name=name+7&match=iexact":            {1, 1},
		"?name=e+1&match=partial":              {11, 10},
		"?name=NAME+1&match=ipartial&limit=20": {11, 11},
		"?status=queued":                       {1, 1},
		"?status=queued,pinned":                {26, 10},
		"?status=failed":                       {0, 0},
		"?cid=" + ids[3] + "," + ids[4]:        {2, 2},
		`?meta={"a":"b"}`:                      {0, 0},
	} {
		var got results
		if status := do("GET", "/pins"+strings.ReplaceAll(query, `"`, "%22"), "", &got); status != 200 || got.Count != want.count || len(got.Results) != want.here {
			t.Errorf("%s: %d, %d of %d, want %d of %d", query, status, len(got.Results), got.Count, want.here, want.count)
		}
	}
	seen := map[string]bool{} // page by page, the youngest first
	for before := ""; ; {
		var got results
		do("GET", "/pins?limit=7"+before, "", &got)
		for _, st := range got.Results {
			seen[st.ID] = true
			before = "&before=" + url.QueryEscape(st.Created.Format(time.RFC3339Nano))
		}
		if len(got.Results) == got.Count {
			break
		}
	}
	if len(seen) != 25 {
		t.Errorf("%d of 25 on the pages", len(seen))
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?status=done", "?match=odd", "?before=noon", "?cid=x", "?meta=x"} {
		if status := do("GET", "/pins"+query, "", nil); status != 400 {
			t.Errorf("%s: %d", query, status)
		}
	}
	for _, body := range []string{"", "{", `{"cid":"x"}`, `{"cid":"bafkqaaa","name":"` + strings.Repeat("x", 256) + `"}`, strings.Repeat(" ", 70000)} {
		if status := do("POST", "/pins", body, nil); status != 400 {
			t.Errorf("%.40q: %d", body, status)
		}
	}
}
