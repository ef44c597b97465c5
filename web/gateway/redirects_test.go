package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/go-cid"
)

// rules that take long to apply, or lead to something huge.
func TestABombOfRedirectsIsRefused(t *testing.T) {
	bs := service(t, nil)
	srv := serve(t, bs, gateway.Config{Subdomains: []string{"example.com"}})
	long := "/" + strings.Repeat("x", 2000)
	for name, c := range map[string]struct {
		rules, path string
		status      int
	}{
		"one rule":                 {"/* /there/:splat 302\n", "/a", http.StatusFound},
		"ten thousand rules":       {strings.Repeat("/b /c\n", 10_000), "/a", http.StatusUnprocessableEntity},
		"more than 64 KiB":         {strings.Repeat("/b /c\n", 11_000), "/a", http.StatusInternalServerError},
		"a value a thousand times": {"/:a /" + strings.Repeat(":a", 30_000) + " 302\n", long, http.StatusUnprocessableEntity},
		"values in values":         {"/:a/:b/:c/:d/:e /:a 302\n", "/:b:b:b:b/:c:c:c:c/:d:d:d:d/:e:e:e:e/" + strings.Repeat("x", 1000), http.StatusUnprocessableEntity},
		"a splat in a value":       {"/:a/* /:a 302\n", "/" + strings.Repeat(":splat", 300) + long, http.StatusUnprocessableEntity},
	} {
		root := dir(t, bs, false, map[string]string{"_redirects": c.rules, "z.txt": name})
		host := cid.NewCidV1(root.Type(), root.Hash()).String() + ".ipfs.example.com"
		begin := time.Now()
		res, body := ask(t, srv, "GET", c.path, at(host))
		if res.StatusCode != c.status || len(res.Header.Get("Location")) > 64<<10 {
			t.Errorf("%s: %d %.100q", name, res.StatusCode, body)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
		if res, _ := ask(t, srv, "GET", "/_redirects", at(host)); res.StatusCode != 200 {
			t.Errorf("%s: the file itself: %d", name, res.StatusCode)
		}
	}
}
