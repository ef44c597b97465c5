package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completed is what a shell would offer after args, the last of which is begun.
func completed(t *testing.T, args ...string) []string {
	t.Helper()
	var out bytes.Buffer
	p := &program{out: &out, err: &bytes.Buffer{}}
	root := p.root()
	root.SetArgs(append([]string{"__completeNoDesc"}, args...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(out.String())
	return lines[:len(lines)-1] // the last says how to go on
}

func TestCompletionKnowsThePeersOfTestnets(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("CAIRN_TESTNET_DIR", parent)
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for name, live := range map[string][]bool{"default": {true, false, true}, "other": {true}, "old": {false}} {
		net := testnet{Name: name, Dir: filepath.Join(parent, name)}
		for i, l := range live {
			m := member{Name: "p" + string(rune('0'+i)), ID: "12D3"}
			if l {
				m.process = self
			}
			net.Peers = append(net.Peers, m)
		}
		if err := os.Mkdir(net.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := net.save(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		want string
	}{
		{"id --peer ", "p0 p2 p0@other"},
		{"id --peer p0", "p0 p0@other"},
		{"testnet kill ", "p0 p2"},
		{"testnet kill p0 ", "p2"},
		{"testnet start ", "p1"},
		{"testnet start --name old ", "p0"},
		{"testnet logs --name none ", ""},
		{"testnet status --name o", "old other"},
		{"put --wait ", "local quorum full"},
		{"id --progress ", "auto plain json none"},
		{"config get replica.ex", "replica.expires"},
		{"config set replica.r ", ""},
		{"comp", "completion"},
		{"completion ", "bash fish powershell zsh"},
	} {
		if got := completed(t, strings.Split(c.args, " ")...); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
}

func TestCompletionScriptsAreUnderstoodByTheirShells(t *testing.T) {
	for shell := range shells {
		var out bytes.Buffer
		p := &program{out: &out}
		if err := p.completion(p.root(), shell); err != nil || !strings.Contains(out.String(), "__complete") {
			t.Errorf("%s: %v in %d bytes", shell, err, out.Len())
		}
		path, err := exec.LookPath(shell)
		if err != nil || shell == "powershell" { // it has no switch that only reads
			continue
		}
		c := exec.Command(path, "-n")
		c.Stdin = &out
		if said, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s does not understand its script: %v: %s", shell, err, said)
		}
	}
}
