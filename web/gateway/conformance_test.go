package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/web/gateway"
)

// What the public suite's data is known by.
const (
	hello     = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am" // "hello\n", raw
	spa       = "bafybeib5lboymwd6p2eo4qb2lkueaine577flvsjjeuevmp2nlio72xv5q"
	redirects = "QmYBhLYDwVFvxos9h8CGU2ibaY66QNgv8hpfewxaQrPiZj"
	listing   = "bafybeig6ka5mlwkl4subqhaiatalkcleo4jgnr3hqwvpmsqfca27cijp3i"
	outside   = "bafybeicaj7kvxpcv4neaqzwhrqqmdstu4dhrwfpknrgebq6nzcecfucvyu" // a name in it leads out of it
	ipnsKey   = "k51qzi5uqu5dk3v4rmjber23h16xnr23bsggmqqil9z2gduiis5se8dht36dam"
)

func fixtures(t *testing.T, change func(*gateway.Config)) *httptest.Server {
	t.Helper()
	bs, cfg := conformance(t)
	if change != nil {
		change(&cfg)
	}
	return serve(t, bs, cfg)
}

// Each line is a behaviour that the public suite checks, so that none is lost
// between two runs of it.
func TestWhatTheConformanceSuiteAsksFor(t *testing.T) {
	srv := fixtures(t, nil)
	for _, c := range []struct {
		name, host, path string
		ask              http.Header
		status           int
		header           map[string]string // a prefix of each
		body             string            // part of it
	}{
		{name: "a configured host is a path gateway", host: "fake.domain.com", path: "/ipfs/" + hello, status: 200, body: "hello"},
		{name: "the old name of the path is said", path: "/ipfs/" + hello, status: 200, header: map[string]string{"X-Ipfs-Path": "/ipfs/" + hello}},
		{name: "a configured host leads to own origins", host: "example.com", path: "/ipfs/" + hello, status: 301, header: map[string]string{"Location": "http://" + hello + ".ipfs.example.com/"}},
		{name: "an own origin on a configured host", host: hello + ".ipfs.example.com", path: "/", status: 200, body: "hello"},
		{name: "a DNSLink by path", path: "/ipns/dnslink-test.example.org", status: 200, body: "hello"},
		{name: "a DNSLink by Host", host: "dnslink-enabled-with-spa.example.org", path: "/index.html", status: 200},
		{name: "a DNSLink is put into one label", host: "example.com", path: "/ipns/dnslink-test.example.org/", status: 301, header: map[string]string{"Location": "http://dnslink--test-example-org.ipns.example.com/"}},
		{name: "the one label", host: "dnslink--test-example-org.ipns.example.com", path: "/", status: 200, body: "hello"},
		{name: "a DNSLink over a key", path: "/ipns/dnslink-over-ipns.example.org/", status: 200},
		{name: "an IPNS record as it is", path: "/ipns/" + ipnsKey + "?format=ipns-record", status: 200, header: map[string]string{"Content-Type": "application/vnd.ipfs.ipns-record"}},
		{name: "an IPNS record that nobody has", path: "/ipns/k51qzi5uqu5dm4tm0wt8srkg9h9suud4wuiwjimndrkydqm81cqtlb5ak6p7ku?format=ipns-record", status: 500},
		{name: "a redirect of a site", host: "dnslink-redirects-examples.example.org", path: "/redirect-one", status: 301, header: map[string]string{"Location": "/one.html"}},
		{name: "a site's own page for what is not there", host: "dnslink-redirects-examples.example.org", path: "/not-found/nothing", status: 404, header: map[string]string{"Etag": `"`}, body: "my 404"},
		{name: "no redirects by path", path: "/ipfs/" + redirects + "/redirect-one", status: 404},
		{name: "only if cached, and it is", path: "/ipfs/" + hello, ask: http.Header{"Cache-Control": {"only-if-cached"}}, status: 200, body: "hello"},
		{name: "an archive of names that lead out", path: "/ipfs/" + outside + "?format=tar", status: 422, body: "leads out"},
		{name: "an archive", path: "/ipfs/" + listing + "?format=tar", status: 200, header: map[string]string{"Content-Type": "application/x-tar"}},
		{name: "a block as it is", path: "/ipfs/" + hello + "?format=raw", status: 200, header: map[string]string{"Content-Type": "application/vnd.ipld.raw"}},
		{name: "a path that leads nowhere, proved", path: "/ipfs/" + listing + "/nothing?format=car", status: 200, header: map[string]string{"Content-Type": "application/vnd.ipld.car"}},
		{name: "a directory as dag-json is no such thing", path: "/ipfs/" + listing + "?format=dag-json", status: 406},
		{name: "a file as dag-json is no such thing", path: "/ipfs/" + hello + "?format=dag-cbor", status: 406},
		{name: "a range", path: "/ipfs/" + hello, ask: http.Header{"Range": {"bytes=1-3"}}, status: 206, body: "ell"},
		{name: "the first of several ranges", path: "/ipfs/" + hello, ask: http.Header{"Range": {"bytes=0-0,2-3"}}, status: 206, body: "h"},
		{name: "a range behind the end", path: "/ipfs/" + hello, ask: http.Header{"Range": {"bytes=1000-"}}, status: 416},
		{name: "a proxy of ours says https", host: "example.com", path: "/ipfs/" + hello, ask: http.Header{"X-Forwarded-Proto": {"https"}}, status: 301, header: map[string]string{"Location": "https://"}},
		{name: "a proxy of ours says the host", host: "fake.domain.com", path: "/ipfs/" + hello, ask: http.Header{"X-Forwarded-Host": {"example.com"}}, status: 301, header: map[string]string{"Location": "http://" + hello + ".ipfs.example.com/"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := ask(t, srv, "GET", c.path, func(r *http.Request) {
				r.Host = c.host
				for k, v := range c.ask {
					r.Header[k] = v
				}
			})
			if res.StatusCode != c.status || !strings.Contains(body, c.body) {
				t.Errorf("%d %.300q, want %d with %q", res.StatusCode, body, c.status, c.body)
			}
			for k, want := range c.header {
				if got := res.Header.Get(k); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %q, want %q", k, got, want)
				}
			}
		})
	}
}

// A client that takes the gateway for an HTTP proxy is served what is here, by full
// URLs and through a tunnel, and led nowhere else.
func TestTheGatewayIsAProxyForWhatItServes(t *testing.T) {
	srv := fixtures(t, nil)
	proxy, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	defer client.CloseIdleConnections()
	for u, want := range map[string]int{
		"http://" + hello + ".ipfs.example.com/": 200, "http://dnslink-test.example.org/": 200, "http://evil.example/": 403,
	} {
		res, err := client.Get(u)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", u, res.StatusCode, want)
		}
	}
	for host, want := range map[string]int{hello + ".ipfs.example.com:80": 200, "127.0.0.2:22": 403, "intranet:80": 403} {
		res, _ := ask(t, srv, http.MethodConnect, "", func(r *http.Request) { r.URL.Opaque, r.Host = host, host })
		if res.StatusCode != want {
			t.Errorf("CONNECT %s: %d, want %d", host, res.StatusCode, want)
		}
	}
}

// six headers by which a stranger could choose where a redirect leads.
func TestOnlyATrustedProxyIsBelieved(t *testing.T) {
	for name, proxies := range map[string][]netip.Prefix{"none is trusted": nil, "another is": {netip.MustParsePrefix("192.0.2.0/24")}} {
		t.Run(name, func(t *testing.T) {
			srv := fixtures(t, func(c *gateway.Config) { c.Proxies, c.Hosts = proxies, nil })
			for k, v := range map[string]string{
				"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1",
				"Forwarded": "host=evil.example;proto=https", "X-Original-Host": "evil.example", "X-Host": "evil.example",
			} {
				res, _ := ask(t, srv, "GET", "/ipfs/"+hello, func(r *http.Request) { r.Host = "example.com"; r.Header.Set(k, v) })
				if want := "http://" + hello + ".ipfs.example.com/"; res.Header.Get("Location") != want {
					t.Errorf("%s leads to %q, want %q", k, res.Header.Get("Location"), want)
				}
			}
			res, _ := ask(t, srv, "GET", "/ipfs/"+hello, func(r *http.Request) {
				r.Host = "evil.example"
				r.Header.Set("X-Forwarded-Host", "example.com")
			})
			if res.StatusCode != 403 {
				t.Errorf("a foreign host by its own word: %d", res.StatusCode)
			}
		})
	}
}

// no DNSLink is looked up for a Host that nobody configured.
func TestADNSLinkIsServedOnlyWhereTheOwnerSaysSo(t *testing.T) {
	srv := fixtures(t, func(c *gateway.Config) { c.Sites = []string{"dnslink-test.example.org"} })
	for host, want := range map[string]int{
		"dnslink-test.example.org": 200, "dnslink-dir-listing.example.org": 403, "x.dnslink-test.example.org": 403, "example.org": 403,
	} {
		if res, _ := ask(t, srv, "GET", "/", at(host)); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, res.StatusCode, want)
		}
	}
}

// A site whose DNSLink cannot be had is no host of all content: its origin would be
// that of every page.
func TestASiteWithoutItsDNSLinkServesNothingElse(t *testing.T) {
	for _, without := range []bool{false, true} {
		srv := fixtures(t, func(c *gateway.Config) {
			if c.Sites = []string{"site.example"}; without {
				c.Names = nil
			}
		})
		for _, path := range []string{"/ipfs/" + hello, "/", "/ipns/dnslink-test.example.org"} {
			res, body := ask(t, srv, "GET", path, at("site.example"))
			if res.StatusCode < 400 || strings.Contains(body, "hello") {
				t.Errorf("%s: %d %q", path, res.StatusCode, body)
			}
		}
	}
}

// content may be read by every page, without credentials, and only read.
func TestContentIsReadableFromEveryOrigin(t *testing.T) {
	srv := fixtures(t, nil)
	for _, origin := range []string{"http://a.example", "https://b.example", "null", "http://127.0.0.1:5101", ""} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			for _, path := range []string{"/ipfs/" + hello, "/ipfs/bafkqabtimvwgy3yk/", "/ipfs/nonsense"} {
				res, _ := ask(t, srv, method, path, func(r *http.Request) { r.Header.Set("Origin", origin) })
				h := res.Header
				if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" ||
					strings.Join(h.Values("Access-Control-Allow-Methods"), " ") != "GET HEAD OPTIONS" {
					t.Errorf("%s %s from %q: %v", method, path, origin, h)
				}
			}
		}
	}
}
