package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What every command keeps to, new ones too: a leaf that contract does not name
// fails. The commands run as processes, in this order, against a testnet of two
// daemons.
//
//	p0 ── p1      testnet "contract", CID is a file that p0 has put, ADDRESS is p1's, TREE a directory, SIGNED a name and a file with its record
var contract = []contractLeaf{
	{name: "cairn version"},
	{name: "cairn paths"},
	{name: "cairn init"},
	{name: "cairn config show"},
	{name: "cairn config get", args: "replica.r"},
	{name: "cairn config set", args: "replica.r 3"},
	{name: "cairn config edit"},
	{name: "cairn completion bash"},
	{name: "cairn completion zsh"},
	{name: "cairn completion fish"},
	{name: "cairn completion powershell"},
	{name: "cairn testnet up", args: "-n 2 --replicas 1"},
	{name: "cairn testnet status"},
	{name: "cairn doctor", args: "--peer p0"},
	{name: "cairn id", args: "--peer p1"},
	{name: "cairn peers", args: "--peer p0"},
	{name: "cairn swarm peers", args: "--peer p0"},
	{name: "cairn swarm connect", args: "--peer p0 ADDRESS"},
	{name: "cairn bootstrap add", args: "ADDRESS"},
	{name: "cairn bootstrap ls"},
	{name: "cairn bootstrap rm", args: "ADDRESS"},
	{name: "cairn put", args: "--peer p0 file"},
	{name: "cairn get", args: "--peer p1 CID -o copy"},
	{name: "cairn cat", args: "--peer p1 CID"},
	{name: "cairn health", args: "--peer p1 CID"},
	{name: "cairn where", args: "--peer p1 CID"},
	{name: "cairn why", args: "--peer p1 CID"},
	{name: "cairn repair", args: "--peer p1 CID"},
	{name: "cairn stat", args: "--peer p1 CID"},
	{name: "cairn put", args: "--peer p0 -r sub"},
	{name: "cairn ls", args: "--peer p1 TREE"},
	{name: "cairn dag export", args: "--peer p1 TREE -o tree.car"},
	{name: "cairn dag import", args: "--peer p0 tree.car"},
	{name: "cairn dag stat", args: "--peer p1 TREE"},
	{name: "cairn block get", args: "--peer p1 TREE -o block"},
	{name: "cairn block put", args: "--peer p0 --codec dag-pb block"},
	{name: "cairn block stat", args: "--peer p1 TREE"},
	{name: "cairn cid format", args: "-f %P CID"},
	{name: "cairn cid base32", args: "TREE"},
	{name: "cairn cid codecs"},
	{name: "cairn lease ls", args: "--peer p0"},
	{name: "cairn lease renew", args: "--peer p0 --expires 90d CID"},
	{name: "cairn withdraw", args: "--peer p0 CID"},
	{name: "cairn pin add", args: "--peer p1 --lease --expires 90d CID"},
	{name: "cairn jobs", args: "--peer p0 --all"},
	{name: "cairn pin ls", args: "--peer p1"},
	{name: "cairn pin rm", args: "--peer p1 CID"},
	{name: "cairn rm", args: "--peer p0 CID"},
	{name: "cairn repo stat", args: "--peer p0"},
	{name: "cairn repo verify", args: "--peer p0"},
	{name: "cairn repo gc", args: "--peer p0"},
	{name: "cairn repo compact", args: "--peer p0"},
	{name: "cairn key gen", args: "--peer p0 site"},
	{name: "cairn key ls", args: "--peer p0"},
	{name: "cairn key export", args: "--peer p0 site -o site.pem"},
	{name: "cairn key import", args: "--peer p1 site site.pem"},
	{name: "cairn name publish", args: "--peer p0 --key site CID"},
	{name: "cairn name resolve", args: "--peer p1 site"},
	{name: "cairn name watch", args: "--peer p1 --count 1 site"},
	{name: "cairn name import-record", args: "--peer p0 SIGNED"},
	{name: "cairn key rm", args: "--peer p1 site"},
	{name: "cairn updates", args: "--peer p1 --count 1", during: "put --peer p0 --announce file"},
	{name: "cairn ui", args: "--peer p0 --no-browser"},
	{name: "cairn testnet logs", args: "p0"},
	{name: "cairn testnet slow", args: "p1 --latency 20ms --rate 5MiB/s"},
	{name: "cairn testnet pause", args: "p1"},
	{name: "cairn testnet resume", args: "p1"},
	{name: "cairn testnet kill", args: "p1"},
	{name: "cairn testnet start", args: "p1"},
	{name: "cairn testnet down", args: "--purge"},
	{name: "cairn testnet demo"},
	{name: "cairn bench net", args: "--size 1MiB --runs 1"},
	{name: "cairn bench get", args: "--size 1MiB --runs 1"},
	{name: "cairn bench local", args: "--size 1MiB --runs 1"},
	{name: "cairn bench put", args: "--size 1MiB --runs 1 --replicas 1"},
	{name: "cairn daemon", args: "--home home --network-profile testnet --api-listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0", ends: `"state":"alone"`},
}

// contractLeaf is a command of the contract. With --json what it prints is JSON, one
// value or one a line; file is JSON itself, for the command that prints that.
type contractLeaf struct {
	name   string // its path
	args   string // beside --json; CID stands for the file's
	during string // a command that is run again and again until this one ends
	ends   string // what it prints before it is told to stop; "" is a command that ends by itself
}

func leaves(c *cobra.Command) (all []*cobra.Command) {
	for _, sub := range c.Commands() {
		all = append(all, leaves(sub)...)
	}
	if len(c.Commands()) == 0 {
		all = append(all, c)
	}
	return all
}

func TestEveryCommandIsExplained(t *testing.T) {
	p := &program{}
	var names []string
	for _, c := range leaves(p.root()) {
		name := c.CommandPath()
		names = append(names, name)
		if c.Short == "" || !strings.Contains(c.Example, name) {
			t.Errorf("%s has no description, or no example of itself", name)
		}
		if strings.HasSuffix(c.Short, ".") || c.Args == nil {
			t.Errorf("%s: its description ends in a stop, or it does not say which arguments it takes", name)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s is not explained", name, f.Name)
			}
		})
		if f := c.InheritedFlags().Lookup("json"); f == nil || c.LocalNonPersistentFlags().Lookup("json") != nil {
			t.Errorf("%s has no --json, or another one", name)
		}
		if !slices.ContainsFunc(contract, func(l contractLeaf) bool { return l.name == name }) {
			t.Errorf("%s is not in the contract: say there how it is run", name)
		}
	}
	for _, l := range contract {
		if !slices.Contains(names, l.name) {
			t.Errorf("the contract has %s, which is no command", l.name)
		}
	}
}

func TestEveryCommandAnswersInJSON(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; make test runs it")
	}
	dir := t.TempDir()
	const data = `{"hello":"world"}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "sub", "deeper"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := shell{dir, private(dir)}
	t.Cleanup(func() { _, _ = s.command("testnet", "down", "--purge").CombinedOutput() }) // again, if the test failed
	root, address, tree := "", "", ""
	const signed = "k51qzi5uqu5dlkw8pxuw9qmqayfdeh4kfebhmreauqdc6a7c3y7d5i9fi8mk9w"
	record, err := filepath.Abs(filepath.Join("..", "..", "web", "gateway", "testdata", signed+"_v1-v2_5.ipns-record"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range contract {
		t.Run(strings.ReplaceAll(l.name, " ", "_"), func(t *testing.T) {
			began := time.Now()
			args := append(strings.Fields(l.name)[1:], strings.Fields(strings.NewReplacer("CID", root, "ADDRESS", address, "TREE", tree, "SIGNED", signed+" "+record).Replace(l.args))...)
			out, err := s.run(l, append(args, "--json")...)
			if err != nil {
				t.Fatalf("%q: %v\n%s", args, err, out)
			}
			values := decode(t, out)
			if l.name == "cairn put" {
				last, _ := values[len(values)-1].(map[string]any)
				got, _ := last["cid"].(string)
				if got == "" {
					t.Fatalf("put has no cid: %s", out)
				}
				if strings.Contains(l.args, "-r ") {
					tree = got
				} else {
					root = got
				}
			}
			if l.name == "cairn id" {
				first, _ := values[0].(map[string]any)
				if all, _ := first["addresses"].([]any); len(all) > 0 {
					address, _ = all[0].(string)
				}
			}
			if l.name == "cairn cat" && string(out) != data {
				t.Errorf("got %q, want the file", out)
			}
			t.Logf("%d values in %.2f s", len(values), time.Since(began).Seconds())
		})
	}
}

// decode reads the JSON values of out, of which there is one at least.
func decode(t *testing.T, out []byte) (values []any) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not JSON: %v\n%s", err, out)
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		t.Fatal("nothing was printed")
	}
	return values
}

// shell runs this program as processes, in a directory and an environment that
// nothing else shares.
type shell struct {
	dir string
	env []string
}

// private is an environment without the user's, with every place below dir.
func private(dir string) (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CAIRN_") && !strings.HasPrefix(v, "XDG_") {
			env = append(env, v)
		}
	}
	return append(env, "HOME="+dir, "CAIRN_TESTNET_DIR="+filepath.Join(dir, "testnets"), "VISUAL=true")
}

func (s shell) command(args ...string) *exec.Cmd {
	c := exec.Command("cairn", args...) // TestMain has put this program there
	c.Dir, c.Env = s.dir, s.env
	return c
}

// run runs a command as l says, and gives what it printed.
func (s shell) run(l contractLeaf, args ...string) ([]byte, error) {
	c := s.command(args...)
	var said bytes.Buffer
	out := &awaited{what: l.ends, seen: make(chan struct{})}
	c.Stdout, c.Stderr = out, &said
	if err := c.Start(); err != nil {
		return nil, err
	}
	done, seen := make(chan error, 1), out.seen
	go func() { done <- c.Wait() }() // ends with the process
	hang := time.NewTimer(2 * time.Minute)
	defer hang.Stop()
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				err = errors.Join(err, errors.New(said.String()))
			}
			return out.buf.Bytes(), err
		case <-again.C:
			if l.during != "" {
				if said, err := s.command(strings.Fields(l.during)...).CombinedOutput(); err != nil {
					return said, errors.Join(err, c.Process.Kill(), <-done)
				}
			}
		case <-seen:
			seen = nil
			if err := c.Process.Signal(terminate); err != nil {
				return nil, err
			}
		case <-hang.C:
			return said.Bytes(), errors.Join(errors.New("does not end"), c.Process.Kill(), <-done)
		}
	}
}

// awaited keeps what is written to it, and closes seen when what was.
type awaited struct {
	buf  bytes.Buffer // not embedded: exec would fill it past Write
	what string
	seen chan struct{}
	over bool
}

func (a *awaited) Write(b []byte) (int, error) {
	a.buf.Write(b)
	if !a.over && a.what != "" && bytes.Contains(a.buf.Bytes(), []byte(a.what)) {
		a.over = true
		close(a.seen)
	}
	return len(b), nil
}
