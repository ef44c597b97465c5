package node_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/deny"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/go-cid"
)

// what is denied is kept for nobody, and given to nobody who asks for it. The
// control: without the list the same put has its copies, and is read.
func TestWhatIsDeniedIsNeitherKeptNorGiven(t *testing.T) {
	text := []byte("what nobody may have")
	file := filepath.Join(t.TempDir(), "list.deny")
	for name, c := range map[string]struct {
		rules string
		want  bool
	}{"denied": {"/ipfs/" + blocks.New(cid.Raw, text).Cid().String() + "\n", false}, "control": {"# nothing\n", true}} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(c.rules), 0o600); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				cfg := nodetest.Config()
				cfg.Gateway.Denylist = []string{file}
				w := nodetest.New(t, 6, cfg)
				rc, err := w.Nodes[0].Put(t.Context(), bytes.NewReader(text), blocks.PutOptions{}, nil)
				if (err == nil) != c.want {
					t.Errorf("put: %v", err)
				}
				if n := len(w.Holders(rc.Root)); (n > 1) != c.want {
					t.Errorf("%d peers have it", n)
				}
				if least, known := w.Nodes[0].Copies(rc.Root); !known || (least > 0) != c.want {
					t.Errorf("last seen with %d copies, %v", least, known)
				}
				f, err := w.Nodes[3].Get(t.Context(), rc.Root.String())
				if (err == nil) != c.want {
					t.Errorf("get: %v", err)
				}
				if err == nil {
					f.Close()
				}
			})
		})
	}
}

// A list with a wrong line keeps the peer from starting, and is named with the line.
func TestAWrongDenylistIsOneClearError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list.deny")
	if err := os.WriteFile(file, []byte("# mine\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := node.DefaultConfig()
	cfg.Network.Profile = node.ProfileTestnet
	cfg.Gateway.Denylist = []string{file}
	h := node.HomeAt(t.TempDir())
	if err := node.Create(h, cfg); err != nil {
		t.Fatal(err)
	}
	_, err := node.Open(t.Context(), h, cfg, nil)
	if line, ok := errors.AsType[*deny.LineError](err); !ok || line.Line != 2 || !strings.Contains(err.Error(), file+":2: ") {
		t.Errorf("%v", err)
	}
}
