package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-network/cairn/web/api"
)

// token is what the API of a peer of w asks for.
func (w clientNet) token(t *testing.T, peer string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "page", peer, "state", "api.token"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d token files of %s: %v", len(files), peer, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(data[:len(data)-1])
}

// kubo-rpc-client and ipfs-car with two daemons: files through the one, messages on a topic
// from the other to it.
func TestStockRPCClientsWithDaemons(t *testing.T) {
	clients(t)
	p, _ := pageNet(t, 2)
	w := clientNet{p}
	var ids []api.ID
	for _, name := range []string{"p0", "p1"} {
		ids = append(ids, w.id(t, name))
	}
	c := startClient(t, "kubo.mjs", ids[0].API, w.token(t, "p0"), ids[1].API, w.token(t, "p1"))
	topics := false
	for {
		var step struct{ Did string }
		c.hear(&step)
		topics = topics || step.Did == "pubsub between two"
		if step.Did == "no import here" {
			t.Error("a daemon takes blocks that others made")
		}
		if step.Did == "all" {
			break
		}
	}
	if !topics {
		t.Error("nothing was said on a topic")
	}
}
