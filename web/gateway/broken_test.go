package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/web/gateway"
	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/importer"
)

// A file of four leaves whose last one is lost: what was sent of it must not
// look like the whole.
func TestDownloadThatFailsIsBrokenOff(t *testing.T) {
	bs := service(t, nil)
	var data bytes.Buffer
	for i := range byte(4) {
		data.Write(bytes.Repeat([]byte{i}, 256<<10))
	}
	root, err := importer.BuildDagFromReader(merkledag.NewDAGService(bs), chunk.NewSizeSplitter(&data, 256<<10))
	if err != nil {
		t.Fatal(err)
	}
	if err := bs.DeleteBlock(t.Context(), root.Links()[3].Cid); err != nil {
		t.Fatal(err)
	}
	srv := serve(t, bs, gateway.Config{})
	res, err := http.Get(srv.URL + "/ipfs/" + root.Cid().String())
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("%d bytes with a clean end, status %d", len(got), res.StatusCode)
	}
}

// A browser that asks again for what it once had, and is there no more, is told so.
func TestAnErrorOfAConditionalRequestIsOneAnswer(t *testing.T) {
	bs := service(t, nil)
	root := dir(t, bs, false, map[string]string{"a.txt": "here"})
	srv := serve(t, bs, gateway.Config{})
	for _, c := range []struct {
		path string
		want int
	}{
		{"/ipfs/" + root.String() + "/gone.txt", 404}, {"/ipfs/" + root.String() + "/a.txt/x", 404}, {"/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy/x", 404},
		{"/ipfs/" + root.String() + "/gone.txt?format=raw", 404}, {"/ipfs/" + root.String() + "/a.txt", 200},
	} {
		for _, head := range []string{"", "If-None-Match", "If-Modified-Since"} {
			res, body := ask(t, srv, "GET", c.path, func(r *http.Request) {
				if head != "" {
					r.Header.Set(head, `"x"`)
				}
			})
			if res.StatusCode != c.want || strings.Count(body, "failed to resolve") > 1 {
				t.Errorf("%s %s: %d %q, want %d", head, c.path, res.StatusCode, body, c.want)
			}
		}
	}
}
