package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/web/api"
)

// bare takes the token off a request.
func bare(r *http.Request) { r.Header.Del("Authorization") }

// code asks for a code as the command line does.
func code(t *testing.T, srv *httptest.Server) string {
	t.Helper()
	res := ask(t, srv, "POST", "/api/v1/signin/code", nil, nil)
	var c api.SigninCode
	if err := json.NewDecoder(res.Body).Decode(&c); err != nil || res.StatusCode != 200 {
		t.Fatal(res.StatusCode, err)
	}
	if c.Path != "/#/signin/"+c.Code || len(c.Code) < 26 || time.Until(c.Expires) > api.CodeLife {
		t.Errorf("got %+v", c)
	}
	return c.Code
}

// enter gives a code from a page of origin.
func enter(t *testing.T, srv *httptest.Server, code, origin string) *http.Response {
	t.Helper()
	return ask(t, srv, "POST", "/api/v1/signin", strings.NewReader(`{"code":"`+code+`"}`), func(r *http.Request) {
		bare(r)
		r.Header.Set("Origin", origin)
	})
}

func cookie(t *testing.T, res *http.Response) *http.Cookie {
	t.Helper()
	if len(res.Cookies()) != 1 {
		t.Fatalf("%d with cookies %v", res.StatusCode, res.Cookies())
	}
	return res.Cookies()[0]
}

func TestACodeOpensOnce(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	c := code(t, srv)
	got := cookie(t, enter(t, srv, c, srv.URL))
	if !got.HttpOnly || got.SameSite != http.SameSiteStrictMode || got.Path != "/api/" || got.Domain != "" || got.MaxAge <= 0 {
		t.Errorf("got %v", got)
	}
	if strings.Contains(got.Value, c) || strings.Contains(got.Value, token) {
		t.Errorf("the cookie tells a secret: %v", got)
	}
	for name, bad := range map[string]string{"used": c, "wrong": strings.Repeat("A", 26), "empty": "", "the token": token} {
		res := enter(t, srv, bad, srv.URL)
		if p := problem(t, res); p.Status != 401 || p.Hint == "" || len(res.Cookies()) > 0 {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if res := enter(t, srv, code(t, srv)+`"`, srv.URL); res.StatusCode != 400 {
		t.Errorf("nonsense: %d", res.StatusCode)
	}
	c = code(t, srv)
	if res := enter(t, srv, c, "http://127.0.0.1:1"); res.StatusCode != 403 || len(res.Cookies()) > 0 {
		t.Errorf("from another origin: %d", res.StatusCode)
	}
	cookie(t, enter(t, srv, c, srv.URL)) // the stranger did not use it up
}

func TestCodesAreForThoseWhoAreIn(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	if res := ask(t, srv, "POST", "/api/v1/signin/code", nil, bare); res.StatusCode != 401 {
		t.Errorf("a stranger gets a code: %d", res.StatusCode)
	}
}

func TestTheCookieCountsForThePageOnly(t *testing.T) {
	srv := serve(t, node("hello"), api.Config{})
	in := cookie(t, enter(t, srv, code(t, srv), srv.URL))
	forged := &http.Cookie{Name: in.Name, Value: strings.Repeat("A", len(in.Value))}
	gateway := "http://127.0.0.1:8180"
	for _, c := range []struct {
		name, method, path string
		cookie             *http.Cookie
		header             []string
		want               int
	}{
		{"read", "GET", "/api/v1/id", in, nil, 200},
		{"read from the page", "GET", "/api/v1/id", in, []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"read from the address bar", "GET", "/api/v1/id", in, []string{"Sec-Fetch-Site", "none"}, 200},
		{"read from a port beside", "GET", "/api/v1/id", in, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"read from abroad", "GET", "/api/v1/id", in, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"read from another origin", "GET", "/api/v1/id", in, []string{"Origin", gateway}, 403},
		{"change", "POST", "/api/v1/put", in, []string{"Origin", srv.URL}, 200},
		{"change without an origin", "POST", "/api/v1/put", in, nil, 403},
		{"change from the gateway", "POST", "/api/v1/put", in, []string{"Origin", gateway}, 403},
		{"change from nowhere", "POST", "/api/v1/put", in, []string{"Origin", "null"}, 403},
		{"change from abroad", "POST", "/api/v1/put", in, []string{"Origin", "https://evil.example"}, 403},
		{"change from abroad that says it is here", "POST", "/api/v1/put", in, []string{"Origin", srv.URL, "Sec-Fetch-Site", "cross-site"}, 403},
		{"no cookie", "GET", "/api/v1/id", nil, nil, 401},
		{"a forged one", "GET", "/api/v1/id", forged, nil, 401},
		{"that of another peer", "GET", "/api/v1/id", &http.Cookie{Name: "cairn-00000000", Value: in.Value}, nil, 401},
	} {
		res := ask(t, srv, c.method, c.path, strings.NewReader("x"), func(r *http.Request) {
			bare(r)
			if c.cookie != nil {
				r.AddCookie(c.cookie)
			}
			for i := 0; i < len(c.header); i += 2 {
				r.Header.Set(c.header[i], c.header[i+1])
			}
		})
		if res.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", c.name, res.StatusCode, c.want)
		}
	}
	out := func(r *http.Request) { bare(r); r.AddCookie(in); r.Header.Set("Origin", srv.URL) }
	if res := ask(t, srv, "POST", "/api/v1/signout", nil, out); res.StatusCode != 200 || cookie(t, res).MaxAge >= 0 {
		t.Errorf("sign out: %d", res.StatusCode)
	}
	if res := ask(t, srv, "GET", "/api/v1/id", nil, out); res.StatusCode != 401 {
		t.Errorf("after signing out: %d", res.StatusCode)
	}
}

func TestCodesAndSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := &api.Door{}
		h := api.New(node(""), api.Config{Token: token, Door: door})
		give := func(code string) *http.Response {
			r := httptest.NewRequest("POST", "http://localhost/api/v1/signin", strings.NewReader(`{"code":"`+code+`"}`))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Result()
		}
		late, _ := door.NewCode()
		time.Sleep(api.CodeLife)
		if res := give(late); res.StatusCode != 401 {
			t.Errorf("after its life: %d", res.StatusCode)
		}
		soon, _ := door.NewCode()
		time.Sleep(api.CodeLife - time.Second)
		in := cookie(t, give(soon))
		look := func() int {
			r := httptest.NewRequest("GET", "http://localhost/api/v1/id", nil)
			r.AddCookie(in)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		if got := look(); got != 200 {
			t.Errorf("signed in: %d", got)
		}
		time.Sleep(time.Duration(in.MaxAge) * time.Second)
		if got := look(); got != 401 {
			t.Errorf("after the session's life: %d", got)
		}
		first, _ := door.NewCode()
		for range 1000 {
			door.NewCode()
			time.Sleep(time.Millisecond)
		}
		if res := give(first); res.StatusCode != 401 {
			t.Errorf("codes pile up: %d", res.StatusCode)
		}
	})
}

func TestThePageIsOpenAndOpensNothing(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
	srv := serve(t, node(""), api.Config{Page: page})
	for path, want := range map[string]int{"/": 200, "/ui/app.js": 200, "/api/v1/id": 401, "/other": 401, "/uix": 401, "/api/": 401} {
		if res := ask(t, srv, "GET", path, nil, bare); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	if res := ask(t, srv, "GET", "/", nil, func(r *http.Request) { bare(r); r.Host = "evil.example" }); res.StatusCode != 403 {
		t.Errorf("foreign Host: %d", res.StatusCode)
	}
}
