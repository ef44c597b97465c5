package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/boxo/blockservice"
	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/importer"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/ipld/go-car/v2"
)

// leaves builds a file of n leaves of 256 KiB and, if tail is not 0, one of tail bytes.
func leaves(t *testing.T, bs blockservice.BlockService, n byte, tail int) ipld.Node {
	t.Helper()
	var data bytes.Buffer
	for i := range n {
		data.Write(bytes.Repeat([]byte{i}, 256<<10))
	}
	data.Write(bytes.Repeat([]byte{'t'}, tail))
	root, err := importer.BuildDagFromReader(merkledag.NewDAGService(bs), chunk.NewSizeSplitter(&data, 256<<10))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func lose(t *testing.T, bs blockservice.BlockService, c cid.Cid) {
	t.Helper()
	if err := bs.DeleteBlock(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// read reads the blocks of a CAR, each of which is checked.
func read(r io.Reader) (cs []cid.Cid, err error) {
	br, err := car.NewBlockReader(r)
	if err != nil {
		return nil, err
	}
	for {
		b, err := br.Next()
		if errors.Is(err, io.EOF) {
			return cs, nil
		}
		if err != nil {
			return cs, err
		}
		cs = append(cs, b.Cid())
	}
}

func TestRawAndCARAnswers(t *testing.T) {
	bs := service(t, nil)
	root := leaves(t, bs, 4, 0)
	srv := serve(t, bs, gateway.Config{})
	path := "/ipfs/" + root.Cid().String()
	accept := func(what string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Accept", what) }
	}
	for name, c := range map[string]struct {
		query string
		edit  func(*http.Request)
	}{"format": {"?format=raw", nil}, "accept": {"", accept("application/vnd.ipld.raw")}} {
		res, body := ask(t, srv, "GET", path+c.query, c.edit)
		if res.StatusCode != 200 || body != string(root.RawData()) || res.Header.Get("Content-Type") != "application/vnd.ipld.raw" {
			t.Errorf("raw by %s: %d, %s, %d bytes", name, res.StatusCode, res.Header.Get("Content-Type"), len(body))
		}
	}
	for name, c := range map[string]struct {
		query string
		edit  func(*http.Request)
		want  int
	}{
		"format":       {"?format=car", nil, 5},
		"accept":       {"", accept("application/vnd.ipld.car; version=1; order=dfs"), 5},
		"block":        {"?format=car&dag-scope=block", nil, 1},
		"entity-bytes": {"?format=car&dag-scope=entity&entity-bytes=0:9", nil, 2},
	} {
		res, body := ask(t, srv, "GET", path+c.query, c.edit)
		cs, err := read(bytes.NewReader([]byte(body)))
		if res.StatusCode != 200 || err != nil || len(cs) != c.want || !cs[0].Equals(root.Cid()) {
			t.Errorf("car by %s: %d, %d blocks, %v; want %d", name, res.StatusCode, len(cs), err, c.want)
		}
	}
}

// whole asks for a path and reads the answer to its end; err is how that ended.
func whole(t *testing.T, url string) (status int, body []byte, err error) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// What breaks off in the middle must look so in every shape, whether the rest is
// lost or does not come; and nothing may be in the body that is not content. The
// lost leaf is as long as the sentence boxo would put in its place.
func TestNoAnswerThatIsCutShortEndsCleanly(t *testing.T) {
	const sentence = 95 // bytes of "[Gateway Error: Response truncated ...]"
	hang := func(ctx context.Context, _ cid.Cid) (block.Block, error) { <-ctx.Done(); return nil, ctx.Err() }
	for name, search := range map[string]func(context.Context, cid.Cid) (block.Block, error){"lost": nil, "stalled": hang} {
		for _, query := range []string{"", "?format=car", "?format=tar"} {
			t.Run(name+query, func(t *testing.T) {
				bs := service(t, search)
				root := leaves(t, bs, 4, sentence)
				lose(t, bs, root.Links()[4].Cid)
				srv := serve(t, bs, gateway.Config{Retrieval: 300 * time.Millisecond})
				begin := time.Now()
				status, body, err := whole(t, srv.URL+"/ipfs/"+root.Cid().String()+query)
				// What is read ahead may fail before the first byte is sent: then the status says so.
				if err == nil && status < 400 {
					t.Errorf("%d bytes with a clean end, status %d", len(body), status)
				}
				if bytes.Contains(body, []byte("Gateway Error")) {
					t.Error("a sentence stands in the body")
				}
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("took %s", took)
				}
			})
		}
	}
}

// A client that leaves takes its search with it.
func TestCAREndsWhenItsClientLeaves(t *testing.T) {
	searching, left := make(chan struct{}, 1), make(chan struct{})
	bs := service(t, func(ctx context.Context, _ cid.Cid) (block.Block, error) {
		searching <- struct{}{}
		<-ctx.Done()
		close(left)
		return nil, ctx.Err()
	})
	root := leaves(t, bs, 4, 0)
	lose(t, bs, root.Links()[2].Cid)
	srv := serve(t, bs, gateway.Config{Retrieval: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/ipfs/"+root.Cid().String()+"?format=car", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	<-searching
	leave()
	select {
	case <-left:
	case <-time.After(5 * time.Second):
		t.Error("the search goes on")
	}
}

// Whoever looks for a block of an answer knows the root it is below.
func TestASearchKnowsItsRoot(t *testing.T) {
	under := make(chan cid.Cid, 2)
	bs := service(t, func(ctx context.Context, c cid.Cid) (block.Block, error) {
		under <- blocks.RootOf(ctx)
		return nil, &blocks.MissError{CID: c, Asked: 1}
	})
	root := leaves(t, bs, 2, 0)
	lose(t, bs, root.Links()[1].Cid)
	srv := serve(t, bs, gateway.Config{})
	own := root.Cid()
	for _, host := range []string{"127.0.0.1", cid.NewCidV1(own.Type(), own.Hash()).String() + ".ipfs.localhost"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/ipfs/"+own.String()+"?format=car", nil)
		if err != nil {
			t.Fatal(err)
		}
		if req.Host = host; host != "127.0.0.1" {
			req.URL.Path = "/"
		}
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body) // it is cut short
		res.Body.Close()
		if got := <-under; !bytes.Equal(got.Hash(), own.Hash()) {
			t.Errorf("Host %s: searched under %s, want %s", host, got, own)
		}
	}
}
