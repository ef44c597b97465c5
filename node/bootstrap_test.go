package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/node"
)

const (
	one = "/ip4/192.0.2.1/tcp/4101/p2p/12D3KooWRBhwfeP2Y4TCx1SM6s9rUoHhR5STiGwxBhgFRcw3UERE"
	two = "/dns4/peer.example/tcp/4101/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5"
)

func edited(t *testing.T, text string, edit func([]string) []string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	err := node.EditBootstrap(file, edit)
	got, e := os.ReadFile(file)
	if e != nil {
		t.Fatal(e)
	}
	if info, e := os.Stat(file); e != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), e)
	}
	return string(got), err
}

func add(s string) func([]string) []string {
	return func(l []string) []string { return append(l, s) }
}

func remove(s string) func([]string) []string {
	return func(l []string) []string { return slices.DeleteFunc(l, func(x string) bool { return x == s }) }
}

func TestBootstrapIsEditedInPlace(t *testing.T) {
	for name, c := range map[string]struct {
		edit       func([]string) []string
		from, want string
	}{
		"into nothing":       {add(one), "", "[network]\nbootstrap = [\"" + one + "\"]\n"},
		"no line end":        {add(one), "[replica]\nr = 3", "[replica]\nr = 3\n[network]\nbootstrap = [\"" + one + "\"]\n"},
		"no key":             {add(one), "[network] # x\nname = \"n\"\n[replica]\nr = 3\n", "[network] # x\nbootstrap = [\"" + one + "\"]\nname = \"n\"\n[replica]\nr = 3\n"},
		"commented out":      {add(one), "# [network]\n[network]\n# who\n# bootstrap = []\n# per_ip = 0\n", "# [network]\n[network]\n# who\n# bootstrap = []\nbootstrap = [\"" + one + "\"]\n# per_ip = 0\n"},
		"on a line":          {add(two), "[network]\nbootstrap = ['" + one + "'] # mine\nname = \"n\" # keep\n", "[network]\nbootstrap = [\"" + one + "\", \"" + two + "\"] # mine\nname = \"n\" # keep\n"},
		"over lines":         {add(two), "[network]\nbootstrap = [\n    # the office\n    \"" + one + "\" # box [1]\n]\n", "[network]\nbootstrap = [\n    # the office\n    \"" + one + "\", # box [1]\n    \"" + two + "\",\n]\n"},
		"away from a line":   {remove(one), "[network]\nbootstrap = [\"" + one + "\"]\n", "[network]\nbootstrap = []\n"},
		"away, first of two": {remove(one), "[network]\nbootstrap = [\n  # the office\n  \"" + one + "\", # a\n  \"" + two + "\", # b\n]\n", "[network]\nbootstrap = [\n  # the office\n  \"" + two + "\", # b\n]\n"},
		"away, last of two":  {remove(two), "[network]\nbootstrap = [\n  \"" + one + "\", # a\n  \"" + two + "\"\n]\n", "[network]\nbootstrap = [\n  \"" + one + "\", # a\n]\n"},
		"no change":          {remove(two), "[network]\nbootstrap=[ '" + one + "' ]", "[network]\nbootstrap=[ '" + one + "' ]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := edited(t, c.from, c.edit); err != nil || got != c.want {
				t.Errorf("%v\ngot\n%s\nwant\n%s", err, got, c.want)
			}
		})
	}
}

func TestBootstrapThatCannotBeEditedIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct{ text, add, want string }{
		"dotted key":   {"network.bootstrap = []\n", one, "by hand"},
		"inline table": {"network = {bootstrap = []}\n", one, "by hand"},
		"no address":   {"[network]\n", "nonsense", "network.bootstrap"},
		"no peer id":   {"[network]\n", "/ip4/192.0.2.1/tcp/1", "network.bootstrap"},
		"bad file":     {"[network\n", one, "config.toml line 1"},
		"unknown key":  {"[network]\nbotstrap = []\n", one, "did you mean network.bootstrap?"},
	} {
		got, err := edited(t, c.text, add(c.add))
		var ce *node.ConfigError
		if !errors.As(err, &ce) || !strings.Contains(err.Error(), c.want) || got != c.text {
			t.Errorf("%s: %v, file now %q", name, err, got)
		}
	}
}

// The file of a new home can be edited too.
func TestBootstrapOfANewHome(t *testing.T) {
	h := node.HomeAt(t.TempDir())
	if err := node.Create(h, node.DefaultConfig()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(h.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range []func([]string) []string{add(one), add(two), remove(one)} {
		if err := node.EditBootstrap(h.Config, edit); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := node.LoadConfig(h.Config)
	if err != nil || !slices.Equal(cfg.Network.Bootstrap, []string{two}) {
		t.Fatalf("%q, %v", cfg.Network.Bootstrap, err)
	}
	after, err := os.ReadFile(h.Config)
	if want := strings.Replace(string(before), "# bootstrap = []\n", "# bootstrap = []\nbootstrap = [\""+two+"\"]\n", 1); err != nil || string(after) != want {
		t.Errorf("%v, the file is now\n%s", err, after)
	}
}
