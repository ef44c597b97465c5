package api_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/web/api"
)

func TestOpenAPIListsEveryRouteAndNoOther(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	_, body := get(t, srv, "/api/v1/openapi.json")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Fatalf("openapi %q: %v", doc.OpenAPI, err)
	}
	var want, got []string
	for _, rt := range api.Routes() {
		want = append(want, rt[0]+" "+rt[1])
	}
	for path, methods := range doc.Paths {
		for method := range maps.Keys(methods) {
			got = append(got, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the file lists\n%q\nthe routes are\n%q", got, want)
	}
	refs(t, body)
}

// refs asks that every reference in the file leads somewhere.
func refs(t *testing.T, body string) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				var at any = doc
				for _, k := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[k]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(doc)
}

func TestSmallRoutesAnswer(t *testing.T) {
	prom := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "cairn_peers 3\n") })
	srv := serve(t, node("x"), api.Config{Metrics: prom})
	for path, want := range map[string]string{
		"/api/v1/id":                `"id":"12D3KooWme"`,
		"/api/v1/peers":             `"latency":0.020`,
		"/api/v1/version":           `"api":"v1"`,
		"/healthz":                  `{}`,
		"/readyz":                   `{"ready":true}`,
		"/readyz?verbose":           `"state":"ready","peers":3`,
		"/metrics":                  "cairn_peers 3",
		"/debug/metrics/prometheus": "cairn_peers 3",
	} {
		if status, body := get(t, srv, path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q, want %q in it", path, status, body, want)
		}
	}
}

func TestReadyOnlyAloneOrReady(t *testing.T) {
	for state, want := range map[string]int{"starting": 503, "warming": 503, "alone": 200, "ready": 200} {
		n := node("")
		n.state = state
		if status, body := get(t, serve(t, n, api.Config{}), "/readyz"); status != want || strings.Contains(body, "state") {
			t.Errorf("%s: %d %q, want %d and no detail", state, status, body, want)
		}
	}
}

func TestHealthCarriesSentenceAndPlainCIDs(t *testing.T) {
	srv := serve(t, node("x"), api.Config{})
	status, body := get(t, srv, "/api/v1/health?path=x&detail=true")
	var h struct {
		CID, Sentence string
		Holders       []string
		Detail        []struct{ CID string }
	}
	if err := json.Unmarshal([]byte(body), &h); err != nil || status != 200 {
		t.Fatal(status, body, err)
	}
	if !strings.HasPrefix(h.CID, "bafk") || !strings.Contains(h.Sentence, "5 live copies") || len(h.Holders) != 1 ||
		len(h.Detail) != 1 || h.Detail[0].CID != h.CID {
		t.Errorf("got %+v", h)
	}
}

func TestUnknownRouteMethodAndParameterAreProblems(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/api/v1/nothing", 404},
		{"GET", "/metrics", 404}, // there are none
		{"GET", "/api/v1/put", 405},
		{"POST", "/api/v1/get", 405},
		{"DELETE", "/healthz", 405},
		{"GET", "/api/v1/get", 400},
		{"GET", "/api/v1/get?path=x&path=y", 400},
		{"GET", "/api/v1/get?pth=x", 400},
		{"GET", "/api/v1/get?path=%zz", 400},
		{"GET", "/api/v1/health?path=x&detail=perhaps", 400},
		{"GET", "/api/v1/id?verbose", 400},
	} {
		res := ask(t, srv, c.method, c.path, nil, nil)
		if p := problem(t, res); p.Status != c.status || p.Code != api.CodeUsage {
			t.Errorf("%s %s: %d %s, want %d usage", c.method, c.path, p.Status, p.Code, c.status)
		}
		if c.status == 405 && res.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
}
