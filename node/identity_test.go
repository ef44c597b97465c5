package node_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cairn-network/cairn/node"
	"github.com/libp2p/go-libp2p/core/crypto"
)

func TestIdentityIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity.key")
	made, err := node.CreateIdentity(file)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := node.LoadIdentity(file)
	if err != nil || !loaded.Equals(made) || loaded.Type() != crypto.Ed25519 {
		t.Errorf("loaded %v, %v, want the key that was made", loaded, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestIdentityIsNeverOverwritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity.key")
	var made sync.Map
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			key, err := node.CreateIdentity(file)
			if err == nil {
				made.Store(key, true)
			} else if !errors.Is(err, fs.ErrExist) {
				t.Errorf("got %v, want fs.ErrExist", err)
			}
		})
	}
	wait.Wait()
	n := 0
	made.Range(func(key, _ any) bool {
		n++
		if loaded, err := node.LoadIdentity(file); err != nil || !loaded.Equals(key.(crypto.PrivKey)) {
			t.Errorf("the file does not hold the key that was made: %v", err)
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d keys were made, want 1", n)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestIdentityThatIsNoneIsRefused(t *testing.T) {
	rsa, _, err := crypto.GenerateKeyPair(crypto.RSA, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := crypto.MarshalPrivateKey(rsa)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, data string
		mode       fs.FileMode
		want       string
	}{
		{"readable by the group", "x", 0o640, "can be read by others (mode 0640)"},
		{"readable by the world", "x", 0o604, "can be read by others (mode 0604)"},
		{"empty", "", 0o600, "holds no key"},
		{"no key", "hello", 0o600, "holds no key"},
		{"too long", strings.Repeat("x", 4096), 0o600, "is no key file"},
		{"of another type", string(other), 0o600, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && c.mode != 0o600 {
				return // modes say nothing there
			}
			file := filepath.Join(t.TempDir(), "identity.key")
			if err := os.WriteFile(file, []byte(c.data), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := node.LoadIdentity(file)
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want the file's name and %q", err, c.want)
			}
		})
	}
	if _, err := node.LoadIdentity(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}
