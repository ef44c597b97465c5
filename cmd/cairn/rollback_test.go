package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
)

// A tar that is half sent leaves nothing on the disk of a real peer, wherever it was cut;
// the whole one is there.
func TestAHalfSentTreeIsRolledBack(t *testing.T) {
	cfg := node.DefaultConfig()
	cfg.Network.Profile, cfg.Network.Listen = node.ProfileTestnet, []string{"/ip4/127.0.0.1/tcp/0"}
	home := node.HomeAt(t.TempDir())
	if err := node.Create(home, cfg); err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), home, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	srv := httptest.NewServer(api.New(&face{n: n}, api.Config{Token: "secret"}))
	t.Cleanup(srv.Close)

	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := range 200 {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("d%d/f%d", i%3, i), Typeflag: tar.TypeReg, Size: 60_000}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(blockstest.Random(uint64(i), 60_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := buf.Bytes()
	post := func(sent []byte) string {
		c, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /api/v1/put?wait=local HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nContent-Type: application/x-tar\r\nContent-Length: %d\r\n\r\n", len(whole))
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(c)
		return string(answer)
	}
	for _, sent := range []int{0, 1000, len(whole) / 2, len(whole) * 9 / 10, len(whole) - 1024, len(whole) - 1} {
		if answer := post(whole[:sent]); !strings.Contains(answer, "nothing was kept") {
			t.Errorf("%d of %d bytes: %s", sent, len(whole), answer)
		}
		if left := keys(t, n); left != 0 {
			t.Errorf("%d of %d bytes: %d blocks are left", sent, len(whole), left)
		}
		for pin := range n.Pins(t.Context()) {
			t.Errorf("%d of %d bytes: %+v is pinned", sent, len(whole), pin)
		}
	}
	if answer := post(whole); !strings.Contains(answer, `"type":"summary"`) || keys(t, n) != 204 {
		t.Errorf("all of it: %d blocks, %s", keys(t, n), answer)
	}
}

func keys(t *testing.T, n *node.Node) (count int) {
	t.Helper()
	all, err := n.BlockService().Blockstore().AllKeysChan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range all {
		count++
	}
	return count
}
