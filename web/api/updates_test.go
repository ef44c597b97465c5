package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/api"
)

func TestUpdatesAreServerSentEventsAndEndWithTheClient(t *testing.T) {
	n, ended := node(""), make(chan struct{})
	tell := n.updates
	n.updates = func(ctx context.Context) iter.Seq2[api.Update, error] {
		return func(yield func(api.Update, error) bool) {
			defer close(ended)
			tell(ctx)(yield)
		}
	}
	srv := serve(t, n, api.Config{Timing: api.Timing{Heartbeat: 10 * time.Millisecond}})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	res := ask(t, srv, "GET", "/api/v1/updates", nil, func(r *http.Request) { *r = *r.WithContext(ctx) })
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatal(kind)
	}
	var got []string
	for lines := bufio.NewScanner(res.Body); len(got) < 6 && lines.Scan(); {
		if lines.Text() != "" {
			got = append(got, lines.Text())
		}
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{":\nevent: update\nid: 12D3KooWyou/7\ndata: {", `"name":"a\nb"`, "}\n:\n:"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	leave()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the stream outlives its client")
	}
}

func TestUpdatesAreNDJSONForThoseWhoAcceptIt(t *testing.T) {
	n := node("")
	n.updates = func(context.Context) iter.Seq2[api.Update, error] {
		return func(yield func(api.Update, error) bool) {
			_ = yield(api.Update{From: "a\nb", Seq: 1}, nil) && yield(api.Update{}, errors.New("bus closed"))
		}
	}
	res := ask(t, serve(t, n, api.Config{}), "GET", "/api/v1/updates", nil, func(r *http.Request) { r.Header.Set("Accept", "application/x-ndjson") })
	data, err := io.ReadAll(res.Body)
	lines := strings.Fields(strings.ReplaceAll(string(data), "bus closed", "bus-closed"))
	if err != nil || len(lines) != 2 || !strings.Contains(lines[0], `"type":"update","from":"a\nb","seq":1`) || !strings.Contains(lines[1], `"type":"error"`) {
		t.Errorf("%q %v", lines, err)
	}
}

func TestUpdatesThatCannotBeWrittenHurtNobody(t *testing.T) {
	n := node("")
	n.updates = func(context.Context) iter.Seq2[api.Update, error] {
		return func(yield func(api.Update, error) bool) {
			yield(api.Update{From: "x\nevent: forged", Seq: 1, Time: time.Unix(1<<40, 0)}, nil)
		}
	}
	_, body := get(t, serve(t, n, api.Config{}), "/api/v1/updates")
	if strings.Contains(body, "\nevent: forged") || !strings.Contains(body, `"integrity"`) {
		t.Errorf("stream %q", body)
	}
}
