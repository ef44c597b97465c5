package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/ipld/merkledag"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
)

// dir builds a directory of files, each one block; sharded says in which shape.
func dir(t *testing.T, bs blockservice.BlockService, sharded bool, files map[string]string) cid.Cid {
	t.Helper()
	dag := merkledag.NewDAGService(bs)
	d, err := uio.NewDirectory(dag)
	if sharded {
		d, err = uio.NewHAMTDirectory(dag, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.SetCidBuilder(merkledag.V1CidPrefix())
	for name, text := range files {
		leaf := merkledag.NewRawNode([]byte(text))
		if err := dag.Add(t.Context(), leaf); err != nil {
			t.Fatal(err)
		}
		if err := d.AddChild(t.Context(), name, leaf); err != nil {
			t.Fatal(err)
		}
	}
	root, err := d.GetNode()
	if err != nil {
		t.Fatal(err)
	}
	if err := dag.Add(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	return root.Cid()
}

func at(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }

// A CID has an origin of its own, where its pages may run; the path on localhost
// leads there, the one on 127.0.0.1 does not.
func TestEachCIDHasAnOriginOnLocalhost(t *testing.T) {
	bs := service(t, nil)
	root := dir(t, bs, false, map[string]string{"index.html": site, "a b.txt": "text"})
	srv := serve(t, bs, gateway.Config{})
	own := root.String() + ".ipfs.localhost:8180"
	v0 := cid.NewCidV0(root.Hash()).String()

	for path, want := range map[string]string{
		"/ipfs/" + root.String():                       "http://" + own + "/",
		"/ipfs/" + root.String() + "/a%20b.txt?x=1":    "http://" + own + "/a%20b.txt?x=1",
		"/ipfs/" + v0 + "/index.html":                  "http://" + own + "/index.html",
		"/ipfs/" + root.String() + "?format=car&x=%2F": "http://" + own + "/?format=car&x=%2F",
	} {
		res, _ := ask(t, srv, "GET", path, at("localhost:8180"))
		if res.StatusCode != 301 || res.Header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", path, res.StatusCode, res.Header.Get("Location"), want)
		}
	}
	for _, host := range []string{own, strings.ToUpper(own), root.String() + ".ipfs.localhost"} {
		res, body := ask(t, srv, "GET", "/", at(host))
		if res.StatusCode != 200 || body != site {
			t.Errorf("Host %q: %d %q", host, res.StatusCode, body)
		}
		if csp := res.Header.Get("Content-Security-Policy"); csp != "" {
			t.Errorf("Host %q: its own origin has the policy %q", host, csp)
		}
		if got := res.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("Host %q: X-Content-Type-Options %q", host, got)
		}
	}
	if res, body := ask(t, srv, "GET", "/a%20b.txt", at(own)); res.StatusCode != 200 || body != "text" {
		t.Errorf("a path: %d %q", res.StatusCode, body)
	}
	if res, _ := ask(t, srv, "GET", "/ipfs/"+root.String()+"/", at("127.0.0.1:8180")); res.StatusCode != 200 || res.Header.Get("Content-Security-Policy") != "sandbox" {
		t.Errorf("path mode: %d, policy %q", res.StatusCode, res.Header.Get("Content-Security-Policy"))
	}
}

func TestOnlyAValidCIDHasAnOrigin(t *testing.T) {
	file := blocks.New(cid.Raw, []byte(site))
	srv := serve(t, service(t, nil, file), gateway.Config{Hosts: []string{"box.lan"}})
	c := file.Cid().String()
	for _, host := range []string{
		"x.ipfs.localhost", ".ipfs.localhost", "ipfs.localhost", c + ".localhost", c + ".ipns.localhost", "example.com.ipns.localhost",
		"a." + c + ".ipfs.localhost", c + ".ipfs.localhost.evil", c + ".ipfs.evil", c + ".ipfs.127.0.0.1", c + ".ipfs.box.lan",
		c[:len(c)-1] + ".ipfs.localhost", c + "..ipfs.localhost", "localhost.",
	} {
		for _, path := range []string{"/", "/ipfs/" + c} {
			if res, body := ask(t, srv, "GET", path, at(host)); res.StatusCode != 403 || strings.Contains(body, "steal") {
				t.Errorf("Host %q, %s: %d", host, path, res.StatusCode)
			}
		}
	}
}

func TestOwnOriginMayHaveAServiceWorker(t *testing.T) {
	bs := service(t, nil)
	root := dir(t, bs, false, map[string]string{"sw.js": "self.x = 1"})
	srv := serve(t, bs, gateway.Config{})
	script := func(r *http.Request) {
		r.Host = root.String() + ".ipfs.localhost"
		r.Header.Set("Service-Worker", "script")
	}
	if res, body := ask(t, srv, "GET", "/sw.js", script); res.StatusCode != 200 || body != "self.x = 1" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	if res, _ := ask(t, srv, "POST", "/sw.js", script); res.StatusCode != 405 {
		t.Errorf("POST: %d", res.StatusCode)
	}
}

func TestDirectoriesAreListedOrServeTheirIndex(t *testing.T) {
	for name, sharded := range map[string]bool{"plain": false, "sharded": true} {
		t.Run(name, func(t *testing.T) {
			bs := service(t, nil)
			list := dir(t, bs, sharded, map[string]string{"ünï <b>.txt": "one", "two.txt": "two"})
			index := dir(t, bs, sharded, map[string]string{"index.html": "<p>home</p>", "a.txt": "a"})
			srv := serve(t, bs, gateway.Config{})
			res, body := ask(t, srv, "GET", "/ipfs/"+list.String()+"/", nil)
			if res.StatusCode != 200 || !strings.Contains(body, "ünï &lt;b&gt;.txt") || !strings.Contains(body, "two.txt") || strings.Contains(body, "<b>.txt") {
				t.Errorf("list: %d %q", res.StatusCode, body)
			}
			if strings.Contains(body, "//cdn") || strings.Contains(body, "<script src=\"http") {
				t.Error("the list asks another origin")
			}
			if res, _ := ask(t, srv, "GET", "/ipfs/"+list.String(), nil); res.StatusCode != 301 || res.Header.Get("Location") != "/ipfs/"+list.String()+"/" {
				t.Errorf("without the slash: %d to %q", res.StatusCode, res.Header.Get("Location"))
			}
			if res, body := ask(t, srv, "GET", "/ipfs/"+index.String()+"/", nil); res.StatusCode != 200 || body != "<p>home</p>" {
				t.Errorf("index: %d %q", res.StatusCode, body)
			}
			if res, body := ask(t, srv, "GET", "/ipfs/"+list.String()+"/two.txt", nil); res.StatusCode != 200 || body != "two" {
				t.Errorf("a file in it: %d %q", res.StatusCode, body)
			}
			if res, _ := ask(t, srv, "GET", "/ipfs/"+list.String()+"/three.txt", nil); res.StatusCode != 404 {
				t.Errorf("a name that is not there: %d", res.StatusCode)
			}
		})
	}
}
