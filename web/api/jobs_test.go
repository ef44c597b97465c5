package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

// jobsNow asks for the jobs until the first of them is in state.
func jobsNow(t *testing.T, ask func() (int, string), state string) []api.Job {
	t.Helper()
	var all []api.Job
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		status, body := ask()
		if err := json.Unmarshal([]byte(body), &all); err != nil || status != 200 {
			t.Fatal(status, body, err)
		}
		if len(all) > 0 && all[0].State == state {
			return all
		}
	}
	t.Fatalf("no job is %s: %+v", state, all)
	return nil
}

// A put is told of while its body comes, while it spreads with nobody listening any
// more, and when it has ended.
func TestAJobIsListedUntilAfterItsEnd(t *testing.T) {
	n, spread := node(""), make(chan struct{})
	n.put = func(_ context.Context, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
		got, err := io.ReadAll(r)
		if err != nil {
			return blocks.Receipt{}, err
		}
		tell(blocks.Progress{Blocks: 1, Copies: []int{0, 1}, Target: 5, Members: 7})
		<-spread
		return blocks.Receipt{Root: blocks.New(cid.Raw, got).Cid(), Name: o.Name, Size: int64(len(got)), Least: 3}, nil
	}
	srv := serve(t, n, api.Config{})
	ctx, leave := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	res := ask(t, srv, "POST", "/api/v1/put?name=a.txt&job=chosen-by-me", pr, func(r *http.Request) { *r = *r.WithContext(ctx) })
	if first := line(t, bufio.NewReader(res.Body)); first["id"] != "chosen-by-me" {
		t.Fatalf("first line %v", first)
	}
	jobs := func() (int, string) { return get(t, srv, "/api/v1/jobs") }
	if j := jobsNow(t, jobs, api.JobReceiving)[0]; j.ID != "chosen-by-me" || j.Name != "a.txt" || j.Began.IsZero() || !j.Ended.IsZero() {
		t.Errorf("got %+v", j)
	}
	twice := ask(t, srv, "POST", "/api/v1/put?job=chosen-by-me", strings.NewReader("x"), nil)
	if p := problem(t, twice); p.Status != 409 {
		t.Errorf("a second job of that name: %+v", p)
	}
	_, _ = io.WriteString(pw, "hello")
	pw.Close()
	if j := jobsNow(t, jobs, api.JobSpreading)[0]; j.Bytes != 5 {
		t.Errorf("got %+v", j)
	}
	leave()
	close(spread)
	j := jobsNow(t, jobs, api.JobDone)[0]
	if j.Receipt == nil || j.Receipt.Size != 5 || j.Receipt.CID == "" || j.Error != nil || j.Ended.IsZero() {
		t.Errorf("got %+v", j)
	}
}

// Who lost the answer to a put finds in the jobs why nothing was kept.
func TestAJobThatFailedSaysWhy(t *testing.T) {
	n := node("")
	var path string
	n.putTree = func(_ context.Context, items iter.Seq2[blocks.Item, error], _ blocks.PutOptions) (blocks.Receipt, error) {
		for it := range items {
			path = it.Path
			_, _ = io.Copy(io.Discard, it.Body)
		}
		return blocks.Receipt{}, &blocks.NameError{Path: "a/..", Reason: "the name \"..\""}
	}
	srv := serve(t, n, api.Config{})
	form := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''a%2F%F0%9F%8C%B2%22%25.txt\r\n\r\nhello\r\n--b--\r\n"
	ask(t, srv, "POST", "/api/v1/put?job=that-one", strings.NewReader(form), func(r *http.Request) {
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	})
	j := jobsNow(t, func() (int, string) { return get(t, srv, "/api/v1/jobs") }, api.JobFailed)[0]
	if j.Error == nil || !strings.Contains(j.Error.Message, `"a/.."`) || j.Receipt != nil || j.Files != 1 {
		t.Errorf("got %+v, error %+v", j, j.Error)
	}
	if path != "a/🌲\"%.txt" {
		t.Errorf("the name came as %q", path)
	}
}

func TestAJobNeedsANameThatCanBeOne(t *testing.T) {
	srv := serve(t, untouchable(t), api.Config{})
	for _, name := range []string{"short", "with%20space", "slash%2fslash", strings.Repeat("a", 65)} {
		if p := problem(t, ask(t, srv, "POST", "/api/v1/put?job="+name, strings.NewReader("x"), nil)); p.Status != 400 {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// The jobs that have ended do not grow without end; the last are kept.
func TestOnlyTheLastJobsAreKept(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	for i := range 210 {
		lastLine(t, ask(t, srv, "POST", fmt.Sprintf("/api/v1/put?job=number-%03d", i), strings.NewReader("x"), nil))
	}
	all := jobsNow(t, func() (int, string) { return get(t, srv, "/api/v1/jobs") }, api.JobDone)
	if len(all) != 200 || all[0].ID != "number-209" {
		t.Errorf("%d jobs, the last is %s", len(all), all[0].ID)
	}
}

func TestEventsTellOfJobs(t *testing.T) {
	srv := serve(t, node(""), api.Config{Timing: api.Timing{Poll: 10 * time.Millisecond}})
	res := ask(t, srv, "GET", "/api/v1/events", nil, func(r *http.Request) { r.Header.Set("Accept", "application/x-ndjson") })
	in := bufio.NewReader(res.Body)
	next := func() (l api.JobsLine) {
		t.Helper()
		for l.Type != api.LineJobs {
			text, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			l = api.JobsLine{}
			if strings.HasPrefix(text, `{"type":"jobs",`) {
				if err := json.Unmarshal([]byte(text), &l); err != nil {
					t.Fatal(text, err)
				}
			}
		}
		return l
	}
	if l := next(); l.Jobs == nil || len(l.Jobs) != 0 {
		t.Errorf("at first %+v", l)
	}
	lastLine(t, ask(t, srv, "POST", "/api/v1/put?job=to-be-told", strings.NewReader("x"), nil))
	for {
		l := next()
		if len(l.Jobs) != 1 || l.Jobs[0].ID != "to-be-told" {
			t.Fatalf("got %+v", l)
		}
		if l.Jobs[0].State == api.JobDone {
			return
		}
	}
}

// A put that is known by its journal alone is a job too: with its root, what is short, and
// who failed it. One that goes on here is told of once.
func TestOpenJournalsAreJobs(t *testing.T) {
	n, spread := node(""), make(chan struct{})
	here, before := blocks.New(cid.Raw, []byte("here")).Cid(), blocks.New(cid.Raw, []byte("before")).Cid()
	n.journal = []blocks.Job{
		{Root: before, Name: "b.txt", Size: 7, Began: time.Unix(1e9, 0), Progress: blocks.Progress{Blocks: 3, Safe: 1, Copies: []int{2, 1}}},
		{Root: here, Began: time.Now(), Active: true, Failed: []blocks.Failure{{Err: io.ErrUnexpectedEOF}}},
	}
	n.put = func(_ context.Context, r io.Reader, _ blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
		_, _ = io.Copy(io.Discard, r)
		tell(blocks.Progress{Root: here, Blocks: 1})
		<-spread
		return blocks.Receipt{Root: here}, nil
	}
	srv := serve(t, n, api.Config{})
	jobs := func() (int, string) { return get(t, srv, "/api/v1/jobs") }
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, ask(t, srv, "POST", "/api/v1/put?job=mine-alone&fanout=3", strings.NewReader("here"), nil).Body)
	}()
	var all []api.Job
	for end := time.Now().Add(10 * time.Second); (len(all) != 2 || all[0].ID != "mine-alone") && time.Now().Before(end); { // its root is not known yet
		all = jobsNow(t, jobs, api.JobSpreading)
	}
	if len(all) != 2 || all[0].ID != "mine-alone" || len(all[0].Failed) != 1 || all[0].Root != here.String() {
		t.Errorf("got %+v", all)
	}
	if j := all[len(all)-1]; j.ID != before.String() || j.State != api.JobQueued || j.Bytes != 7 || j.Progress.Blocks-j.Progress.Safe != 2 || j.Name != "b.txt" {
		t.Errorf("got %+v", j)
	}
	close(spread)
	<-done
}
