package gateway_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/exchange"
	"github.com/ipfs/boxo/exchange/offline"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// site is <html> with a script.
const site = "<html><script>steal()</script></html>"

// service holds bs; search, if not nil, is asked for the rest.
func service(t *testing.T, search func(ctx context.Context, c cid.Cid) (block.Block, error), bs ...block.Block) blockservice.BlockService {
	t.Helper()
	store := blockstore.NewBlockstore(dssync.MutexWrap(datastore.NewMapDatastore()))
	if err := store.PutMany(t.Context(), bs); err != nil {
		t.Fatal(err)
	}
	ex := offline.Exchange(store)
	if search != nil {
		ex = network{ex, search}
	}
	return blockservice.New(store, ex)
}

// network is an exchange that searches.
type network struct {
	exchange.Interface
	search func(ctx context.Context, c cid.Cid) (block.Block, error)
}

func (n network) GetBlock(ctx context.Context, c cid.Cid) (block.Block, error) {
	return n.search(ctx, c)
}

func serve(t *testing.T, bs blockservice.BlockService, cfg gateway.Config) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(gateway.New(bs, cfg))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.Client().CloseIdleConnections)
	return srv
}

// ask sends a request; edit may change it. Redirects are not followed.
func ask(t *testing.T, srv *httptest.Server, method, path string, edit func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	res, err := srv.Client().Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestAFileIsServedByPath(t *testing.T) {
	file := blocks.New(cid.Raw, []byte(site))
	srv := serve(t, service(t, nil, file), gateway.Config{Hosts: []string{"box.lan"}})
	for _, host := range []string{"", "[::1]:8180", "127.0.0.1", "Box.lan"} {
		res, body := ask(t, srv, "GET", "/ipfs/"+file.Cid().String(), func(r *http.Request) { r.Host = host })
		if res.StatusCode != 200 || body != site {
			t.Errorf("Host %q: %d %q", host, res.StatusCode, body)
		}
		for k, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox", "Referrer-Policy": "no-referrer",
			"Etag": `"` + file.Cid().String() + `"`,
		} {
			if got := res.Header.Get(k); got != want {
				t.Errorf("%s is %q, want %q", k, got, want)
			}
		}
	}
}

func TestProbeIsAnswered(t *testing.T) {
	res, body := ask(t, serve(t, service(t, nil), gateway.Config{}), "GET", "/ipfs/bafkqaaa", nil)
	if res.StatusCode != 200 || body != "" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

func TestHeadAndRangeAreServed(t *testing.T) {
	file := blocks.New(cid.Raw, []byte("hello world"))
	srv := serve(t, service(t, nil, file), gateway.Config{})
	path := "/ipfs/" + file.Cid().String()
	if res, _ := ask(t, srv, "HEAD", path, nil); res.StatusCode != 200 || res.ContentLength != 11 {
		t.Errorf("HEAD: %d, %d bytes", res.StatusCode, res.ContentLength)
	}
	res, body := ask(t, srv, "GET", path, func(r *http.Request) { r.Header.Set("Range", "bytes=6-8") })
	if res.StatusCode != 206 || body != "wor" {
		t.Errorf("range: %d %q", res.StatusCode, body)
	}
}

func TestForeignHostGetsNothing(t *testing.T) {
	file := blocks.New(cid.Raw, []byte(site))
	srv := serve(t, service(t, nil, file), gateway.Config{})
	for _, host := range []string{"evil.example", "127.0.0.1.nip.io", "localhost.evil", "box.lan", "-"} {
		for _, path := range []string{"/ipfs/" + file.Cid().String(), "/", "/ipfs/bafkqaaa", "/nothing"} {
			res, body := ask(t, srv, "GET", path, func(r *http.Request) {
				r.Host = host
				r.Header.Set("X-Forwarded-Host", "localhost")
			})
			if res.StatusCode != 403 || strings.Contains(body, "steal") {
				t.Errorf("Host %q, %s: %d", host, path, res.StatusCode)
			}
		}
	}
}

func TestServiceWorkerIsRefusedOnEveryPath(t *testing.T) {
	file := blocks.New(cid.Raw, []byte("self.x = 1"))
	srv := serve(t, service(t, nil, file), gateway.Config{})
	for _, path := range []string{"/ipfs/" + file.Cid().String(), "/ipfs/" + file.Cid().String() + "?filename=sw.js", "/ipfs/" + file.Cid().String() + "/a/sw.js", "/sw.js"} {
		res, _ := ask(t, srv, "GET", path, func(r *http.Request) { r.Header.Set("Service-Worker", "script") })
		if res.StatusCode != 400 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestOnlyReadingAndOnlyContent(t *testing.T) {
	srv := serve(t, service(t, nil), gateway.Config{})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/ipfs/bafkqaaa", 405}, {"PUT", "/ipfs/bafkqaaa", 405}, {"DELETE", "/ipfs/bafkqaaa", 405},
		{"GET", "/", 404}, {"GET", "/ipns/example.com", 404}, {"GET", "/api/v1/id", 404}, {"GET", "/debug/pprof/", 404},
		{"GET", "/ipfs/nonsense", 400}, {"GET", "/ipfs/bafkqaa1", 400},
	} {
		if res, body := ask(t, srv, c.method, c.path, nil); res.StatusCode != c.status || strings.Contains(body, "goroutine") {
			t.Errorf("%s %s: %d %q, want %d", c.method, c.path, res.StatusCode, body, c.status)
		}
	}
}

func TestForwardedHostLeadsNowhere(t *testing.T) {
	srv := serve(t, service(t, nil), gateway.Config{})
	for _, path := range []string{"/ipfs/?uri=ipfs://bafkqaaa", "/ipfs/ipfs/bafkqaaa", "/ipfs/bafkqaaa/"} {
		res, body := ask(t, srv, "GET", path, func(r *http.Request) {
			r.Header.Set("X-Forwarded-Host", "evil.example")
			r.Header.Set("X-Forwarded-Proto", "https")
		})
		if to := res.Header.Get("Location"); strings.Contains(to+body, "evil") {
			t.Errorf("%s: %d to %q", path, res.StatusCode, to)
		}
	}
}

func TestWhatNobodyHasEndsInTime(t *testing.T) {
	missing := blocks.New(cid.Raw, []byte("nobody has this")).Cid()
	for name, c := range map[string]struct {
		search func(ctx context.Context, c cid.Cid) (block.Block, error)
		status int
	}{
		"nobody has it": {func(_ context.Context, c cid.Cid) (block.Block, error) {
			return nil, &blocks.MissError{CID: c, Asked: 9}
		}, 404},
		"nobody answers":   {func(ctx context.Context, _ cid.Cid) (block.Block, error) { <-ctx.Done(); return nil, ctx.Err() }, 504},
		"nobody in reach":  {nil, 404},
		"a lookup gave up": {func(context.Context, cid.Cid) (block.Block, error) { return nil, context.DeadlineExceeded }, 504},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, service(t, c.search), gateway.Config{Retrieval: time.Second})
			begin := time.Now()
			res, body := ask(t, srv, "GET", "/ipfs/"+missing.String(), nil)
			if took := time.Since(begin); res.StatusCode != c.status || took > 10*time.Second {
				t.Errorf("%d %q after %s, want %d", res.StatusCode, body, took, c.status)
			}
		})
	}
}
