package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// maxKeyFile is the largest key file that is read, in bytes; ours has 68.
const maxKeyFile = 1 << 10

// CreateIdentity makes an Ed25519 key and writes it to file, which must not be
// there: a peer whose key is overwritten is another peer. The file appears whole
// or not at all, readable by its owner alone.
func CreateIdentity(file string) (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("node: make identity: %w", err)
	}
	data, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("node: make identity: %w", err)
	}
	if err := createOnce(file, data); err != nil {
		return nil, fmt.Errorf("node: save identity: %w", err)
	}
	return key, nil
}

// LoadIdentity reads the key in file. It refuses a file that others may read.
func LoadIdentity(file string) (crypto.PrivKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("node: identity: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("node: identity: %s can be read by others (mode %04o): run chmod 600 on it, or make a new identity if somebody did read it", file, mode)
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, fmt.Errorf("node: identity: %s is no key file", file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("node: identity: %w", err)
	}
	key, err := crypto.UnmarshalPrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("node: identity: %s holds no key: %w", file, err)
	}
	if key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("node: identity: %s holds a key of type %s, want Ed25519", file, key.Type())
	}
	return key, nil
}

// createOnce writes a private file that was not there: it is written beside its
// place and linked into it, which fails with [fs.ErrExist] when it is taken.
func createOnce(file string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	err = os.Link(f.Name(), file)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without links: exclusive all the same, but not at one stroke.
	f, err = os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
