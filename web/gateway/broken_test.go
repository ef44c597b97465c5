package gateway_test

import (
	"bytes"
	"io"
	"net/http"
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
