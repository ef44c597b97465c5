package rpc_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// everything is what can be asked for behind the two mounts.
func everything(names []string) (all [][2]string) {
	for _, name := range names {
		all = append(all, [2]string{"POST", "/api/v0/" + name + "?arg=bafkqaaa"})
	}
	return append(all, [2]string{"GET", "/psa/pins"}, [2]string{"POST", "/psa/pins"}, [2]string{"GET", "/psa/pins/bafkqaaa"},
		[2]string{"POST", "/psa/pins/bafkqaaa"}, [2]string{"DELETE", "/psa/pins/bafkqaaa"}, [2]string{"POST", "/api/v0/nothing"}, [2]string{"GET", "/api/v0/id"})
}

func try(t *testing.T, base string, rt [2]string, body string, edit func(*http.Request)) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), rt[0], base+rt[1], strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	edit(r)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

// FAULTS: what a page, or a name made to lead here, can send.
func TestNoForgedRequestHasAnEffect(t *testing.T) {
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	head := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	both := func(a, b func(*http.Request)) func(*http.Request) { return func(r *http.Request) { a(r); b(r) } }
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	closed := map[string]func(*http.Request){ // where the token is asked for
		"no token":           func(*http.Request) {},
		"another token":      head("Authorization", "Bearer fedcba9876543210"),
		"a longer token":     head("Authorization", "Bearer "+token+"0"),
		"no token at all":    head("Authorization", "Bearer "),
		"another scheme":     head("Authorization", "Token "+token),
		"token as user":      func(r *http.Request) { r.SetBasicAuth(token, "") },
		"another password":   func(r *http.Request) { r.SetBasicAuth("user", "x") },
		"token in the query": func(r *http.Request) { r.URL.RawQuery += "&token=" + token },
		"token as cookie":    head("Cookie", "session="+token),
		"form":               head("Content-Type", "application/x-www-form-urlencoded"),
		"form of plain text": head("Content-Type", "text/plain"),
	}
	always := map[string]func(*http.Request){ // where it is not, too
		"origin null":             head("Origin", "null"),
		"foreign origin":          head("Origin", "http://evil.example"),
		"origin of the gateway":   head("Origin", "http://127.0.0.1:8180"),
		"no-cors fetch":           head("Sec-Fetch-Mode", "no-cors"),
		"form of a page":          both(head("Sec-Fetch-Site", "cross-site"), head("Content-Type", "multipart/form-data; boundary=x")),
		"link of a page":          head("Referer", "http://evil.example/"),
		"a browser":               head("User-Agent", "Mozilla/5.0"),
		"cookie":                  head("Cookie", "a=b"),
		"rebound name":            host("evil.com"),
		"name that leads here":    host("127.0.0.1.nip.io"),
		"subdomain of localhost":  host("localhost.evil"),
		"rebound name with token": both(bearer, host("evil.com")),
		"origin null with token":  both(bearer, head("Origin", "null")),
		"foreign with token":      both(bearer, head("Origin", "http://evil.example")),
	}
	for _, open := range []bool{false, true} {
		p := newPeer()
		srv, s := serve(t, p, open)
		forms := map[string]func(*http.Request){}
		for name, edit := range always {
			forms[name] = edit
		}
		if !open {
			for name, edit := range closed {
				forms[name] = edit
			}
		}
		n := 0
		for name, edit := range forms {
			for _, rt := range everything(s.Names()) {
				status, answer := try(t, srv.URL, rt, `{"cid":"bafkqaaa"}`, edit)
				if n++; status != 401 && status != 403 {
					t.Errorf("open %t: %s: %s %s: %d %s", open, name, rt[0], rt[1], status, answer)
				}
				if psa := strings.HasPrefix(rt[1], "/psa/"); psa != strings.HasPrefix(answer, `{"error":{"reason":`) || !psa && !strings.HasPrefix(answer, `{"Message":`) {
					t.Errorf("%s: not in the shape that its clients read: %s", rt[1], answer)
				}
			}
		}
		if p.calls() != 0 {
			t.Errorf("open %t: %d calls of the peer by %d forged requests", open, p.calls(), n)
		}
		t.Logf("FIGURE open=%t: %d forms on %d routes: %d refused, %d calls of the peer", open, len(forms), n/len(forms), n, p.calls())
		for name, edit := range map[string]func(*http.Request){ // the control
			"token": bearer, "token as password": func(r *http.Request) { r.SetBasicAuth("any", token) }, "own origin": both(bearer, head("Origin", srv.URL)),
		} {
			if status, answer := try(t, srv.URL, [2]string{"POST", "/api/v0/id"}, "", edit); status != 200 || p.calls() == 0 {
				t.Errorf("%s: %d %s", name, status, answer)
			}
		}
		want := 401
		if open {
			want = 200
		}
		if status, _ := try(t, srv.URL, [2]string{"POST", "/api/v0/id"}, "", func(*http.Request) {}); status != want {
			t.Errorf("open %t: without a token: %d, want %d", open, status, want)
		}
		if status, _ := try(t, srv.URL, [2]string{"GET", "/psa/pins"}, "", func(*http.Request) {}); status != 401 {
			t.Errorf("open %t: pins without a token: %d", open, status)
		}
	}
}

func TestCommandsAreSentByPostOnly(t *testing.T) {
	p := newPeer()
	srv, s := serve(t, p, false)
	for _, name := range s.Names() {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
			if res, _ := send(t, srv, method, "/api/v0/"+name+"?arg=bafkqaaa", "", nil); res.StatusCode != 405 {
				t.Errorf("%s %s: %d", method, name, res.StatusCode)
			}
		}
	}
	if p.calls() != 0 {
		t.Errorf("%d calls of the peer", p.calls())
	}
}

// FAULTS A-73: no answer allows a page of another origin to read it.
func TestNoAnswerHasACORSHeader(t *testing.T) {
	srv, s := serve(t, newPeer(), false)
	for _, rt := range everything(s.Names()) {
		for _, origin := range []string{"", srv.URL, "null", "http://evil.example", "http://127.0.0.1:8180"} {
			r, err := http.NewRequestWithContext(t.Context(), rt[0], srv.URL+rt[1], nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			for k := range res.Header {
				if strings.HasPrefix(k, "Access-Control-") {
					t.Errorf("%s from %q: %s", rt[1], origin, k)
				}
			}
		}
	}
}
