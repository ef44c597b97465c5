package gateway_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks/deny"
	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/namesys"
)

// the ways to ask on which boxo answers from what a path leads to, without the path
// or without the block. The control: without the list none of them is 410.
func TestWhatIsDeniedIsGoneByEveryWayThere(t *testing.T) {
	bs := service(t, nil)
	leaf := add(t, bs, merkledag.NewRawNode([]byte("what nobody may have")))
	sub, err := merkledag.NewDAGService(bs).Get(t.Context(), dir(t, bs, false, map[string]string{"index.html": "not by this path", "a.txt": "what nobody may have", "c.txt": "not by this path"}))
	if err != nil {
		t.Fatal(err)
	}
	top := unixfs.EmptyDirNode()
	if err := top.SetCidBuilder(merkledag.V1CidPrefix()); err != nil {
		t.Fatal(err)
	}
	if err := top.AddNodeLink("sub", sub); err != nil {
		t.Fatal(err)
	}
	root := "/ipfs/" + add(t, bs, top).Cid().String()
	file := filepath.Join(t.TempDir(), "list.deny")
	if err := os.WriteFile(file, []byte("/ipfs/"+leaf.Cid().String()+"\n"+root+"/sub/c.txt\n"+root+"/sub/index.html\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := deny.Open([]string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("IPFS_NS_MAP", "site.example:"+root)
	names, err := namesys.NewNameSystem(records{}, namesys.WithDNSResolver(noDNS{}))
	if err != nil {
		t.Fatal(err)
	}
	control := serve(t, bs, gateway.Config{Names: names})
	srv := serve(t, bs, gateway.Config{Names: names, Denied: list.Block, DeniedPath: list.Path})
	for _, c := range []struct{ method, path, head string }{
		{"GET", root + "/sub//c.txt?format=raw", ""}, {"HEAD", root + "/sub//c.txt?format=raw", ""},
		{"GET", "/ipns/site.example/sub/c.txt?format=raw", ""}, {"GET", "/ipns/site.example/sub/c.txt?format=dag-json", ""},
		{"GET", root + "/sub/", ""}, {"GET", "/ipns/site.example/sub/", ""}, {"HEAD", root + "/sub/", ""},
		{"HEAD", "/ipfs/" + leaf.Cid().String(), "Cache-Control: only-if-cached"},
		{"HEAD", root + "/sub/a.txt", "Cache-Control: only-if-cached"}, {"HEAD", "/ipns/site.example/sub/c.txt", "Cache-Control: only-if-cached"},
		{"GET", root + "/sub/a.txt", "Cache-Control: only-if-cached"},
		{"GET", "/ipfs/" + leaf.Cid().String(), "If-None-Match: *"}, {"GET", "/ipfs/" + leaf.Cid().String() + "?format=car", "If-None-Match: *"},
		{"GET", root + "/sub/a.txt", "If-None-Match: *"}, {"GET", root + "/sub/a.txt?format=raw", "If-None-Match: *"},
	} {
		with := func(r *http.Request) {
			if k, v, ok := strings.Cut(c.head, ": "); ok {
				r.Header.Set(k, v)
			}
		}
		if res, body := ask(t, srv, c.method, c.path, with); res.StatusCode != http.StatusGone {
			t.Errorf("%s %s %s: %d %.60q", c.method, c.path, c.head, res.StatusCode, body)
		}
		if res, _ := ask(t, control, c.method, c.path, with); res.StatusCode == http.StatusGone {
			t.Errorf("without the list: %s %s %s: %d", c.method, c.path, c.head, res.StatusCode)
		}
	}
	if res, _ := ask(t, srv, "HEAD", root+"/sub", func(r *http.Request) { r.Header.Set("Cache-Control", "only-if-cached") }); res.StatusCode != http.StatusOK {
		t.Errorf("what is not denied: %d", res.StatusCode)
	}
}
