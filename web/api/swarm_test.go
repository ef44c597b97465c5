package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/api"
)

func (f *fake) Connect(ctx context.Context, addr string) (string, error) {
	switch addr {
	case "good":
		return "12D3KooWyou", nil
	case "bad":
		return "", &api.BadAddressError{Err: errors.New("no such thing")}
	case "gone":
		return "", &api.NoAnswerError{Err: errors.New("peer x was not reached: refused")}
	}
	<-ctx.Done()
	return "", ctx.Err()
}

func TestConnectAnswersForEveryOutcome(t *testing.T) {
	srv := serve(t, node(""), api.Config{Timing: api.Timing{Ask: 50 * time.Millisecond}})
	path := "/api/v1/swarm/connect"
	res := ask(t, srv, "POST", path+"?address=good", nil, nil)
	var to api.Connected
	if err := json.NewDecoder(res.Body).Decode(&to); err != nil || res.StatusCode != 200 || to.ID != "12D3KooWyou" {
		t.Errorf("%d %+v %v", res.StatusCode, to, err)
	}
	for addr, want := range map[string]struct {
		status int
		code   string
	}{"bad": {400, api.CodeUsage}, "gone": {504, api.CodeTimeout}, "hangs": {504, api.CodeTimeout}, "": {400, api.CodeUsage}} {
		res := ask(t, srv, "POST", path+"?address="+url.QueryEscape(addr), nil, nil)
		if p := problem(t, res); p.Status != want.status || p.Code != want.code || p.Detail == "" {
			t.Errorf("%q: %+v, want %v", addr, p, want)
		}
	}
	if p := problem(t, ask(t, srv, "GET", path+"?address=good", nil, nil)); p.Status != 405 {
		t.Errorf("GET: %+v", p)
	}
}
