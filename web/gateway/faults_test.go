package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/gateway"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

// A panic costs one request its answer; it is counted, and the next request is served.
func TestAPanicIsCountedAndTheNextRequestIsServed(t *testing.T) {
	here := blocks.New(cid.Raw, []byte("here"))
	bs := service(t, func(context.Context, cid.Cid) (block.Block, error) { panic("boom") }, here)
	caught := make(chan any, 10)
	srv := serve(t, bs, gateway.Config{Caught: func(v any) { caught <- v }})
	absent := blocks.New(cid.Raw, []byte("absent")).Cid().String()
	if res, _ := ask(t, srv, http.MethodGet, "/ipfs/"+absent, nil); res.StatusCode != http.StatusInternalServerError || len(caught) != 1 {
		t.Errorf("status %d, %d told; want 500 and one", res.StatusCode, len(caught))
	}
	if res, body := ask(t, srv, http.MethodGet, "/ipfs/"+here.Cid().String(), nil); res.StatusCode != http.StatusOK || body != "here" {
		t.Errorf("the next one: %d %q", res.StatusCode, body)
	}
	if len(caught) != 1 {
		t.Errorf("told of %d, want one", len(caught))
	}
}

// The first byte is told of once for each answer with content, and of no other.
func TestTheFirstByteIsToldOf(t *testing.T) {
	const each = 50 * time.Millisecond
	here := blocks.New(cid.Raw, []byte("here"))
	bs := service(t, func(ctx context.Context, c cid.Cid) (block.Block, error) {
		time.Sleep(each)
		if c == here.Cid() {
			return here, nil
		}
		return nil, blocks.NotFound(c)
	})
	told := make(chan time.Duration, 10)
	srv := serve(t, bs, gateway.Config{FirstByte: func(took time.Duration) { told <- took }})
	absent := blocks.New(cid.Raw, []byte("absent")).Cid().String()
	for _, c := range []struct {
		method, path string
		status, told int
	}{
		{http.MethodGet, "/ipfs/" + here.Cid().String(), http.StatusOK, 1},
		{http.MethodGet, "/ipfs/" + absent, http.StatusNotFound, 0},
		{http.MethodHead, "/ipfs/" + here.Cid().String(), http.StatusOK, 0},
		{http.MethodGet, "/elsewhere", http.StatusNotFound, 0},
	} {
		res, _ := ask(t, srv, c.method, c.path, nil)
		if res.StatusCode != c.status || len(told) != c.told {
			t.Errorf("%s %s: status %d, told %d times; want %d, %d", c.method, c.path, res.StatusCode, len(told), c.status, c.told)
		}
		for len(told) > 0 {
			if took := <-told; took < each {
				t.Errorf("first byte after %s, sooner than it was found", took)
			}
		}
	}
}

// A URL without a path, as a client sends it that takes the gateway for a proxy, is one with /.
func TestAURLWithoutAPathIsThatOfTheRoot(t *testing.T) {
	one := blocks.New(cid.DagCBOR, []byte{0x80})
	srv := serve(t, service(t, nil, one), gateway.Config{Caught: func(v any) { t.Error(v) }})
	for _, end := range []string{"/", "", "?a=b"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET http://%s.ipfs.localhost%s HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n", one.Cid(), end)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != 200 {
			t.Errorf("%q: %d", end, res.StatusCode)
		}
	}
}
