package node_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/libp2p/go-libp2p/core/crypto"
)

// kuboKey is what `openssl genpkey -algorithm ed25519` writes, and Kubo with
// --format=pem-pkcs8-cleartext: the key of RFC 8410, section 10.3.
const kuboKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
`

func TestKeysLastAndAreTheirOwnersAlone(t *testing.T) {
	dir, self := filepath.Join(t.TempDir(), "keys"), freshKey(t)
	keys, err := node.OpenKeys(dir, self)
	if err != nil {
		t.Fatal(err)
	}
	made, err := keys.Generate("site")
	if err != nil || !strings.HasPrefix(made.Name, "k51") || made.Type != "ed25519" {
		t.Fatalf("%+v, %v", made, err)
	}
	brought, err := keys.Import("kubo", []byte(kuboKey))
	if err != nil {
		t.Fatal(err)
	}
	if pem, err := keys.Export("kubo"); err != nil || string(pem) != kuboKey {
		t.Errorf("exported %q, %v: want what was imported", pem, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s: mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	again, err := node.OpenKeys(dir, self)
	if err != nil {
		t.Fatal(err)
	}
	all := again.List()
	if len(all) != 3 || all[0].Key != blocks.SelfKey || all[1] != brought || all[2] != made {
		t.Errorf("after a restart there are %+v", all)
	}
	if _, err := again.Remove("site"); err != nil {
		t.Error(err)
	}
	if _, err := again.Export("site"); !errors.Is(err, blocks.ErrNoKey) {
		t.Errorf("a removed key: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(filepath.Join(dir, "kubo.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := node.OpenKeys(dir, self); err == nil {
		t.Error("a key that others may read was taken")
	}
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	keys, err := node.OpenKeys("", freshKey(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Generate("a"); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if bad := new(blocks.KeyError); !errors.As(err, &bad) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range []string{"a", "", "self", "../x", "-x", ".x", "a/b", strings.Repeat("a", 129)} {
		_, err := keys.Generate(name)
		refused(name, err)
	}
	rsa, _, err := crypto.GenerateRSAKeyPair(2048, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := crypto.MarshalPrivateKey(rsa)
	if err != nil {
		t.Fatal(err)
	}
	for what, data := range map[string]string{
		"nothing": "", "text": "key", "PEM of nothing": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"RSA": string(raw), "large": strings.Repeat(kuboKey, 1000),
	} {
		_, err := keys.Import("b", []byte(data))
		refused(what, err)
	}
	_, err = keys.Remove(blocks.SelfKey)
	refused("the identity", err)
}
