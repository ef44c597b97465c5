package gateway_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/gateway"
	unixfs "github.com/ipfs/boxo/ipld/unixfs"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
)

// hashed is a raw CID of n bytes of data, by any function.
func hashed(t *testing.T, function uint64, n, digest int) cid.Cid {
	t.Helper()
	sum, err := mh.Sum([]byte(strings.Repeat("a", n)), function, digest)
	if err != nil {
		t.Fatal(err)
	}
	return cid.NewCidV1(cid.Raw, sum)
}

// A CID may carry 128 bytes of data; a longer one, and one whose hash proves nothing, is a
// mistake of who asks, in every form, and nobody is asked for any of them: neither for the
// root of a path, nor for what a directory of a stranger leads to.
func TestACIDThatProvesNothingIsRefusedAndAskedOfNobody(t *testing.T) {
	var asked atomic.Int32
	search := func(_ context.Context, c cid.Cid) (block.Block, error) {
		asked.Add(1)
		return nil, &blocks.MissError{CID: c}
	}
	for name, tt := range map[string]struct {
		c      cid.Cid
		status int
		body   string
	}{
		"no byte in it":         {hashed(t, mh.IDENTITY, 0, -1), 200, ""},
		"one byte in it":        {hashed(t, mh.IDENTITY, 1, -1), 200, "a"},
		"128 bytes in it":       {hashed(t, mh.IDENTITY, 128, -1), 200, strings.Repeat("a", 128)},
		"129 bytes in it":       {hashed(t, mh.IDENTITY, 129, -1), 400, ""},
		"2,000 bytes in it":     {hashed(t, mh.IDENTITY, 2000, -1), 400, ""},
		"a hash cut to 8 bytes": {hashed(t, mh.SHA2_256, 1, 8), 400, ""},
		"MD5":                   {hashed(t, mh.MD5, 1, -1), 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			link := &ipld.Link{Name: "it", Cid: tt.c}
			dir := unixfs.EmptyDirNode()
			if err := dir.AddRawLink("it", link); err != nil {
				t.Fatal(err)
			}
			srv := serve(t, service(t, search, dir), gateway.Config{})
			for _, path := range []string{tt.c.String(), dir.Cid().String() + "/it"} {
				for _, form := range []string{"", "?format=raw", "?format=car", "?format=tar"} {
					res, body := ask(t, srv, "GET", "/ipfs/"+path+form, nil)
					want := tt.status
					if want == 200 && form == "?format=car" {
						want = res.StatusCode // such a CID has no block to be in a CAR
						if want >= 500 {
							t.Errorf("%s%s: %d %.200s", path, form, res.StatusCode, body)
						}
					}
					if res.StatusCode != want || want == 200 && (form == "" || form == "?format=raw") && body != tt.body {
						t.Errorf("%.40s%s: %d %.200q, want %d", path, form, res.StatusCode, body, want)
					}
				}
			}
		})
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the network was asked %d times", n)
	}
}

// A block of two million values is given as it is to who wants that, and decoded for nobody:
// it would take hundreds of megabytes. A large one of few values is.
func TestABlockOfVeryManyValuesIsNotDecoded(t *testing.T) {
	n := 1 << 20
	many := blocks.New(cid.DagCBOR, append(binary.BigEndian.AppendUint32([]byte{0x9a}, uint32(n)), bytes.Repeat([]byte{0x80}, n)...))
	few := blocks.New(cid.DagCBOR, append(binary.BigEndian.AppendUint32([]byte{0x5a}, uint32(n)), make([]byte, n)...))
	srv := serve(t, service(t, nil, many, few), gateway.Config{})
	for _, x := range []struct {
		c      cid.Cid
		query  string
		accept string
		status int
	}{
		{many.Cid(), "", "text/html", 422}, {many.Cid(), "/0", "", 422}, {many.Cid(), "?format=car", "", 422}, {many.Cid(), "", "application/vnd.ipld.car", 422},
		{many.Cid(), "", "", 422}, {many.Cid(), "", "*/*", 422}, {many.Cid(), "?format=dag-json", "", 406}, {many.Cid(), "?format=dag-cbor", "", 200},
		{many.Cid(), "?format=raw", "", 200}, {many.Cid(), "", "application/vnd.ipld.raw, application/vnd.ipld.dag-json", 200},
		{many.Cid(), "?format=cbor", "", 422}, {many.Cid(), "?format=json", "", 422}, {many.Cid(), "", "application/cbor", 422}, // boxo decodes it for these
		{many.Cid(), "", "text/raw", 422}, {many.Cid(), "?format=rawer", "", 422}, {many.Cid(), "", "x/json", 422}, // and these it does not know
		{many.Cid(), "?format=raw", "text/html", 200},
		{few.Cid(), "?format=cbor", "", 200}, {few.Cid(), "", "x/json", 200},
		{few.Cid(), "?format=dag-cbor", "", 200}, {few.Cid(), "/", "text/html", 200}, {few.Cid(), "", "", 200}, {few.Cid(), "?format=raw", "", 200},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, body := ask(t, srv, "GET", "/ipfs/"+x.c.String()+x.query, func(r *http.Request) {
			if x.accept != "" {
				r.Header.Set("Accept", x.accept)
			}
		})
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; res.StatusCode != x.status || took > 64<<20 {
			t.Errorf("%s %s: %d %.100q, %d bytes allocated, want %d", x.query, x.accept, res.StatusCode, body, took, x.status)
		}
	}
}
