package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

// offered is what a shell is told after args, the last of which is begun: lines of a word
// and what it is about, and at the end how to go on.
func offered(t *testing.T, command string, args ...string) (lines []string, said string) {
	t.Helper()
	var out, errs bytes.Buffer
	root := (&program{out: &out, err: &errs}).root()
	root.SetArgs(append([]string{command}, args...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines = strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[:len(lines)-1], errs.String()
}

// daemonWith is a home whose daemon has pins and a directory under the first of them.
func daemonWith(t *testing.T, pins ...blocks.Pin) (home string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/pins", func(w http.ResponseWriter, _ *http.Request) {
		out := []api.Pin{}
		for _, p := range pins {
			out = append(out, api.NewPin(p))
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // the test reads it, or fails
	})
	mux.HandleFunc("/api/v1/ls", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("path") != pins[0].Root.String() {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		for _, e := range []blocks.Entry{
			{Name: "a.jpg", Kind: blocks.KindFile, Size: 2048}, {Name: "album", Kind: blocks.KindDir, Size: -1},
			{Name: "b.jpg", Kind: blocks.KindFile, Size: 1}, {Name: "a\x1b[2J", Kind: blocks.KindFile, Size: 1},
		} {
			_ = json.NewEncoder(w).Encode(api.NewEntry(e)) // as above
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	home = t.TempDir()
	h := node.HomeAt(home)
	if err := node.Create(h, node.DefaultConfig()); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteAPIAddr(srv.URL); err != nil {
		t.Fatal(err)
	}
	return home
}

func TestCompletionKnowsWhatIsPinned(t *testing.T) {
	t.Setenv("CAIRN_TESTNET_DIR", t.TempDir())
	now := time.Now()
	pin := func(data, name string, age time.Duration) blocks.Pin {
		return blocks.Pin{Root: blocks.New(cid.Raw, []byte(data)).Cid(), Name: name, Size: 3 << 10, Time: now.Add(-age)}
	}
	photos, plain, evil := pin("1", "photos", time.Hour), pin("2", "", time.Minute), pin("3", "a\tb\n\x1b[2J", time.Second)
	t.Setenv("CAIRN_HOME", daemonWith(t, photos, plain, evil))
	a, b, c := photos.Root.String(), plain.Root.String(), evil.Root.String()
	for _, x := range []struct {
		args []string
		want []string
	}{
		{[]string{"ls", ""}, []string{c + "\t\"a\\tb\\n\\x1b[2J\", 3.0 KiB", b + "\t3.0 KiB", a + "\tphotos, 3.0 KiB"}}, // the latest first
		{[]string{"ls", b}, []string{b + "\t3.0 KiB"}},
		{[]string{"cat", a, b, ""}, []string{c + "\t\"a\\tb\\n\\x1b[2J\", 3.0 KiB"}},
		{[]string{"get", "/ipfs/" + b}, []string{"/ipfs/" + b + "\t3.0 KiB"}},
		{[]string{"get", a, ""}, nil}, // it takes one
		{[]string{"health", "bafyx"}, nil},
		{[]string{"rm", b}, []string{b + "\t3.0 KiB"}},
		{[]string{"pin", "rm", b}, []string{b + "\t3.0 KiB"}},
		{[]string{"pin", "add", b}, []string{b + "\t3.0 KiB"}},
		{[]string{"stat", a + "/a"}, []string{a + "/a.jpg\t2.0 KiB", a + "/album/"}}, // and nothing that moves a cursor
		{[]string{"stat", b + "/"}, nil},
	} {
		got, said := offered(t, "__complete", x.args...)
		if !slices.Equal(got, x.want) || strings.Contains(said, "cairn:") {
			t.Errorf("%q: got %q, want %q; said %q", x.args, got, x.want, said)
		}
	}
}

// Without a daemon, and with one that hangs, the shell is not kept waiting.
func TestCompletionWaitsForNobody(t *testing.T) {
	t.Setenv("CAIRN_TESTNET_DIR", t.TempDir())
	t.Setenv("CAIRN_HOME", t.TempDir())
	if got, _ := offered(t, "__complete", "ls", ""); len(got) > 0 {
		t.Errorf("without a daemon: %q", got)
	}
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	defer srv.Close()
	defer close(done)
	home := daemonWith(t)
	if err := node.HomeAt(home).WriteAPIAddr(srv.URL); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CAIRN_HOME", home)
	began := time.Now()
	if got, _ := offered(t, "__complete", "ls", ""); len(got) > 0 || time.Since(began) > completeTime+10*time.Second {
		t.Errorf("a daemon that hangs: %q after %s", got, time.Since(began))
	}
}

func TestCompletionKnowsAddresses(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("CAIRN_TESTNET_DIR", parent)
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const one, two = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", "/ip4/127.0.0.1/tcp/2/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
	net := testnet{Name: "default", Dir: filepath.Join(parent, "default"), Peers: []member{{Name: "p0", Addr: one, process: self}, {Name: "p1", Addr: two}}}
	if err := os.Mkdir(net.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := net.save(); err != nil {
		t.Fatal(err)
	}
	home := node.HomeAt(t.TempDir())
	cfg := node.DefaultConfig()
	cfg.Network.Bootstrap = []string{two}
	if err := node.Create(home, cfg); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CAIRN_HOME", filepath.Dir(home.Data))
	for _, x := range []struct{ args, want []string }{
		{[]string{"swarm", "connect", ""}, []string{one + "\tp0@default"}}, // who lives
		{[]string{"bootstrap", "add", one, ""}, nil},
		{[]string{"bootstrap", "rm", "/ip4"}, []string{two}},
	} {
		if got, _ := offered(t, "__complete", x.args...); !slices.Equal(got, x.want) {
			t.Errorf("%q: got %q, want %q", x.args, got, x.want)
		}
	}
}

// Every command that takes a path of the network completes it, and none of them names files
// of this machine.
func TestEveryPathIsCompleted(t *testing.T) {
	root := (&program{out: &bytes.Buffer{}, err: &bytes.Buffer{}}).root()
	paths := 0
	for _, c := range commands(root) {
		if !strings.Contains(c.Use, "PATH") {
			continue
		}
		paths++
		t.Setenv("CAIRN_TESTNET_DIR", t.TempDir())
		pin := blocks.Pin{Root: blocks.New(cid.Raw, []byte(c.CommandPath())).Cid(), Time: time.Now()}
		t.Setenv("CAIRN_HOME", daemonWith(t, pin))
		got, _ := offered(t, "__completeNoDesc", append(strings.Fields(c.CommandPath())[1:], "")...)
		if !slices.Equal(got, []string{pin.Root.String()}) {
			t.Errorf("%s: offers %q, want the pin", c.CommandPath(), got)
		}
	}
	if paths < 8 {
		t.Errorf("%d commands take a PATH, want 8 and more", paths)
	}
}
