package gateway_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks/deny"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
)

// rules of a list of the owner's, for a block, a path, a name and a domain, however
// what they are about is asked for. The control: without the list all of it is served.
func TestTheRulesOfAListHoldInEveryForm(t *testing.T) {
	bs, cfg := conformance(t)
	leaf := merkledag.NewRawNode([]byte("what nobody may have"))
	add(t, bs, leaf)
	root := dir(t, bs, false, map[string]string{"a.txt": "what nobody may have", "b.txt": "fine", "c.txt": "not by this path"})
	rules := "# of the owner\n/ipfs/" + leaf.Cid().String() + "\n/ipfs/" + root.String() + "/c*\n/ipns/dnslink-test.example.org\n/ipns/" + ipnsKey + "\n"
	file := filepath.Join(t.TempDir(), "list.deny")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := deny.Open([]string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Subdomains = append(cfg.Subdomains, "example.com")
	control := serve(t, bs, cfg)
	cfg.Denied, cfg.DeniedPath = list.Block, list.Path
	srv := serve(t, bs, cfg)
	own := cid.NewCidV1(root.Type(), root.Hash()).String() + ".ipfs.example.com"
	for _, c := range []struct{ host, path string }{
		{"", "/ipfs/" + leaf.Cid().String()}, {"", "/ipfs/" + root.String() + "/a.txt"}, {"", "/ipfs/" + root.String() + "/a.txt?format=raw"},
		{"", "/ipfs/" + cid.NewCidV1(cid.DagProtobuf, leaf.Cid().Hash()).String() + "?format=raw"},
		{"", "/ipfs/" + root.String() + "/a.txt?format=car"},
		{"", "/ipfs/" + root.String() + "/c.txt"}, {"", "/ipfs/" + root.String() + "/c.txt?format=raw"}, {"", "/ipfs/" + root.String() + "/%63.txt?format=car"},
		{own, "/a.txt"}, {own, "/c.txt"},
		{"", "/ipns/dnslink-test.example.org"}, {"dnslink-test.example.org", "/"}, {"dnslink--test-example-org.ipns.example.com", "/"},
		{"", "/ipns/" + ipnsKey + "?format=ipns-record"},
	} {
		at := func(r *http.Request) { r.Host = c.host }
		if res, body := ask(t, srv, "GET", c.path, at); res.StatusCode != http.StatusGone || strings.Contains(body, "nobody may have") || strings.Contains(body, "not by this") {
			t.Errorf("%s%s: %d %.80q", c.host, c.path, res.StatusCode, body)
		}
		if res, body := ask(t, control, "GET", c.path, at); res.StatusCode != http.StatusOK {
			t.Errorf("without the list: %s%s: %d %.80q", c.host, c.path, res.StatusCode, body)
		}
	}
	if res, body := ask(t, srv, "GET", "/ipfs/"+root.String()+"/b.txt", nil); res.StatusCode != 200 || body != "fine" {
		t.Errorf("what is not denied: %d %q", res.StatusCode, body)
	}
	res, body := ask(t, srv, "GET", "/ipfs/"+leaf.Cid().String(), func(r *http.Request) { r.Header.Set("Accept", "application/json") })
	var said struct{ Status int }
	if err := json.Unmarshal([]byte(body), &said); err != nil || said.Status != 410 || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("as JSON: %v %s", res.Header, body)
	}
}
