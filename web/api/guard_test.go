package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/web/api"
)

// everywhere is every route and one that does not exist.
func everywhere() [][2]string { return append(api.Routes(), [2]string{"GET", "/no/such/route"}) }

// untouchable is a node that must not be asked for anything.
func untouchable(t *testing.T) *fake {
	t.Helper()
	return &fake{} // its nil functions panic, which would be a 500
}

func TestForeignHostOrOriginGetsNothingAnywhere(t *testing.T) {
	srv := serve(t, untouchable(t), api.Config{OpenMetrics: true, Hosts: []string{"box.lan"}})
	port := srv.URL[strings.LastIndexByte(srv.URL, ':'):]
	for _, rt := range everywhere() {
		for _, host := range []string{"evil.example", "127.0.0.1.nip.io", "localhost.evil.example", "localhost.", "0.0.0.0" + port, "box.lan.evil", "-"} {
			res := ask(t, srv, rt[0], rt[1], nil, func(r *http.Request) { r.Host = host })
			if p := problem(t, res); p.Status != 403 || p.Code != api.CodeForbidden {
				t.Errorf("Host %q on %v: %d %s", host, rt, p.Status, p.Code)
			}
		}
		for _, origin := range []string{"null", "http://evil.example", "http://localhost:1", "file://", "http://127.0.0.1.nip.io" + port, "127.0.0.1" + port, ""} {
			res := ask(t, srv, rt[0], rt[1], nil, func(r *http.Request) { r.Header.Set("Origin", origin) })
			if p := problem(t, res); p.Status != 403 || p.Code != api.CodeForbidden {
				t.Errorf("Origin %q on %v: %d %s", origin, rt, p.Status, p.Code)
			}
		}
	}
}

func TestNothingButProbesWithoutTheToken(t *testing.T) {
	for _, open := range []bool{false, true} {
		n := node("")
		srv := serve(t, n, api.Config{OpenMetrics: open})
		for _, rt := range everywhere() {
			for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + token, token, "Bearer " + token + "x", "Bearer " + token[1:]} {
				res := ask(t, srv, rt[0], rt[1], nil, func(r *http.Request) { r.Header.Set("Authorization", auth) })
				free := rt[1] == "/healthz" || rt[1] == "/api/v1/signin" || rt[1] == "/readyz" || open && strings.Contains(rt[1], "metrics")
				if free {
					if res.StatusCode == 401 {
						t.Errorf("%v asks for a token", rt)
					}
					continue
				}
				if p := problem(t, res); p.Status != 401 || p.Code != api.CodeUnauthorized || res.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("Authorization %q on %v: %d %s", auth, rt, p.Status, p.Code)
				}
			}
		}
		res := ask(t, srv, "GET", "/readyz?verbose", nil, func(r *http.Request) { r.Header.Del("Authorization") })
		if res.StatusCode != 401 {
			t.Errorf("verbose readiness without the token: %d", res.StatusCode)
		}
	}
}

func TestAnEmptyTokenOpensNothing(t *testing.T) {
	res := record(api.New(untouchable(t), api.Config{}), "GET", "http://localhost/api/v1/id", "Bearer ")
	if res.StatusCode != 401 {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestOwnHostsPassOnAnyPort(t *testing.T) {
	h := api.New(node(""), api.Config{Token: token, Hosts: []string{"Box.lan:80"}})
	for _, host := range []string{"localhost", "LOCALHOST:5101", "127.0.0.1:1", "[::1]:5101", "[::1]", "box.lan", "box.lan:5101"} {
		if res := record(h, "GET", "http://"+host+"/api/v1/id", "Bearer "+token); res.StatusCode != 200 {
			t.Errorf("Host %q: %d", host, res.StatusCode)
		}
	}
}

func TestSameOriginPasses(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	res := ask(t, srv, "GET", "/api/v1/id", nil, func(r *http.Request) { r.Header.Set("Origin", srv.URL) })
	if res.StatusCode != 200 || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("got %d with CORS %q", res.StatusCode, res.Header.Get("Access-Control-Allow-Origin"))
	}
}

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	for _, path := range []string{"/healthz", "/api/v1/id", "/no/such/route", "/api/v1/get?path=x"} {
		h := ask(t, srv, "GET", path, nil, nil).Header
		for k, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(k) != want {
				t.Errorf("%s: %s is %q", path, k, h.Get(k))
			}
		}
	}
}

func TestAPanicIsAProblemAndALogLine(t *testing.T) {
	var log bytes.Buffer
	n := node("")
	n.open = func(context.Context, string) (api.File, error) { panic("boom") }
	var caught []any
	h := api.New(n, api.Config{Token: token, Log: slog.New(slog.NewTextHandler(&log, nil)), Caught: func(v any) { caught = append(caught, v) }})
	res := record(h, "GET", "http://localhost/api/v1/get?path=x", "Bearer "+token)
	if len(caught) != 1 || caught[0] != "boom" {
		t.Errorf("told of %v, want one boom", caught)
	}
	if p := problem(t, res); p.Status != 500 || p.Code != api.CodeInternal || strings.Contains(p.Detail, "boom") {
		t.Errorf("got %+v", p)
	}
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "request panicked") {
		t.Errorf("log: %s", log.String())
	}
}
