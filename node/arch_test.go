package node_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// house is who may import whom. A package that is not named here, or an arrow
// that is not drawn here, fails the build: to add one is to change this table,
// in the open. It reads bottom up; each line uses only names above it.
var house = map[string]string{
	"blocks":              "",
	"blocks/blockstest":   "blocks",
	"blocks/dag":          "blocks",
	"blocks/disk/seglog":  "",
	"blocks/disk/crashfs": "",
	"blocks/disk":         "blocks blocks/disk/seglog",
	"blocks/pins":         "blocks blocks/dag",
	"blocks/deny":         "",
	"dht/keyspace":        "",
	"blocks/names":        "blocks",
	"blocks/wire":         "blocks",
	"blocks/fetch":        "blocks dht/keyspace",
	"blocks/replica/rbsr": "",
	"blocks/replica":      "blocks blocks/replica/rbsr blocks/wire dht/keyspace",
	"dht":                 "dht/keyspace",
	"pubsub":              "",
	"node/link":           "",
	"node/host":           "node/link",
	"node":                "blocks blocks/dag blocks/deny blocks/disk blocks/fetch blocks/names blocks/pins blocks/replica blocks/wire dht pubsub node/host node/link",
	"web/webtest":         "",
	"node/nodetest":       "node blocks/blockstest",
	"web/gateway":         "blocks blocks/dag",
	"web/api":             "blocks",
	"web/api/client":      "blocks web/api",
	"web/rpc":             "blocks web/api",
	"web/ui":              "",
	"web":                 "web/api web/gateway web/ui",
	"cmd/cairn":           "blocks node node/host web web/api web/api/client web/rpc",

	"blocks/replica/replicatest": "blocks blocks/blockstest blocks/replica blocks/wire dht/keyspace",
}

func TestArchitecture(t *testing.T) {
	const module = "github.com/cairn-network/cairn/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		pkg := strings.TrimPrefix(f[0], module)
		allowed, ok := house[pkg]
		if !ok {
			t.Errorf("%s is not in the house: add it to the table", pkg)
		}
		for _, imp := range f[1:] {
			if to, ours := strings.CutPrefix(imp, module); ours && !slices.Contains(strings.Fields(allowed), to) {
				t.Errorf("%s must not import %s", pkg, to)
			}
		}
	}
}
