package node

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/google/renameio/v2/maybe"
	"github.com/ipfs/boxo/ipns"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Keys are what names are published with: one file a key, readable by its owner alone,
// and beside it what was last published. The peer's own identity is one of them, under
// the name [blocks.SelfKey], and lies elsewhere.
type Keys struct {
	dir  string // "" keeps them in memory
	self crypto.PrivKey

	mu   sync.Mutex
	keys map[string]crypto.PrivKey // guarded by mu; without self
	last map[string]issue          // guarded by mu
}

// issue is what was last published with a key: enough to do it again.
type issue struct {
	Value    string        `json:"value"`
	Seq      uint64        `json:"seq"`
	Lifetime time.Duration `json:"lifetime"` // nanoseconds
	TTL      time.Duration `json:"ttl"`      // nanoseconds
	Signed   time.Time     `json:"signed"`
}

const (
	keySuffix   = ".key"
	issueSuffix = ".json"
	maxKeyPEM   = 16 << 10 // bytes of a key that is imported
)

var keyName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// OpenKeys reads the keys in dir, which need not be there yet; "" keeps them in memory.
// It refuses a key that others may read.
func OpenKeys(dir string, self crypto.PrivKey) (*Keys, error) {
	k := &Keys{dir: dir, self: self, keys: map[string]crypto.PrivKey{}, last: map[string]issue{}}
	if dir == "" {
		return k, nil
	}
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("node: keys: %w", err)
	}
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), keySuffix); ok && keyName.MatchString(name) {
			if k.keys[name], err = LoadIdentity(filepath.Join(dir, f.Name())); err != nil {
				return nil, err
			}
		}
		if name, ok := strings.CutSuffix(f.Name(), issueSuffix); ok && keyName.MatchString(name) {
			data, err := os.ReadFile(filepath.Join(dir, f.Name()))
			var was issue
			if err == nil {
				err = json.Unmarshal(data, &was)
			}
			if err != nil {
				return nil, fmt.Errorf("node: keys: %s: %w", f.Name(), err)
			}
			k.last[name] = was
		}
	}
	return k, nil
}

// List gives the keys by name, the peer's own first.
func (k *Keys) List() []blocks.KeyInfo {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := []blocks.KeyInfo{}
	for name, key := range k.keys {
		all = append(all, keyInfo(name, key))
	}
	slices.SortFunc(all, func(a, b blocks.KeyInfo) int { return cmp.Compare(a.Key, b.Key) })
	return slices.Insert(all, 0, keyInfo(blocks.SelfKey, k.self))
}

// Generate makes an Ed25519 key and calls it name.
func (k *Keys) Generate(name string) (blocks.KeyInfo, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return blocks.KeyInfo{}, fmt.Errorf("node: make key: %w", err)
	}
	return k.add(name, key)
}

// Import takes a key as Kubo's `ipfs key export --format=pem-pkcs8-cleartext` writes it,
// or as it does without, and calls it name.
func (k *Keys) Import(name string, data []byte) (blocks.KeyInfo, error) {
	bad := func(reason string) (blocks.KeyInfo, error) {
		return blocks.KeyInfo{}, &blocks.KeyError{Key: name, Reason: reason}
	}
	if len(data) > maxKeyPEM {
		return bad(fmt.Sprintf("larger than %d bytes", maxKeyPEM))
	}
	var key crypto.PrivKey
	if block, _ := pem.Decode(data); block != nil {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return bad("not in PKCS #8") // the parser's own words could hold bytes of the key
		}
		raw, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return bad("not an Ed25519 key")
		}
		if key, err = crypto.UnmarshalEd25519PrivateKey(raw); err != nil {
			return bad("not an Ed25519 key")
		}
	} else {
		var err error
		if key, err = crypto.UnmarshalPrivateKey(data); err != nil {
			return bad("neither PEM nor a libp2p key")
		}
		if key.Type() != crypto.Ed25519 {
			return bad("not an Ed25519 key")
		}
	}
	return k.add(name, key)
}

func (k *Keys) add(name string, key crypto.PrivKey) (blocks.KeyInfo, error) {
	info := keyInfo(name, key)
	if !keyName.MatchString(name) || name == blocks.SelfKey {
		return info, &blocks.KeyError{Key: name, Reason: "want up to 128 letters, digits, dots, dashes and underscores, and not " + blocks.SelfKey}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, taken := k.keys[name]; taken {
		return info, &blocks.KeyError{Key: name, Reason: "is there already"}
	}
	if k.dir != "" {
		if err := os.MkdirAll(k.dir, 0o700); err != nil {
			return info, fmt.Errorf("node: keys: %w", err)
		}
		data, err := crypto.MarshalPrivateKey(key)
		if err == nil {
			err = createOnce(filepath.Join(k.dir, name+keySuffix), data)
		}
		if err != nil {
			return info, fmt.Errorf("node: keys: %w", err)
		}
	}
	k.keys[name] = key
	return info, nil
}

// Export gives a key as PEM of PKCS #8, not encrypted. It is the key: who has it publishes.
func (k *Keys) Export(name string) ([]byte, error) {
	key, err := k.get(name)
	if err != nil {
		return nil, err
	}
	raw, err := key.Raw()
	if err != nil {
		return nil, fmt.Errorf("node: keys: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.PrivateKey(raw))
	if err != nil {
		return nil, fmt.Errorf("node: keys: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Remove forgets a key for good. The peer's identity stays.
func (k *Keys) Remove(name string) (blocks.KeyInfo, error) {
	if name == blocks.SelfKey {
		return blocks.KeyInfo{}, &blocks.KeyError{Key: name, Reason: "is what this peer is, and stays"}
	}
	key, err := k.get(name)
	if err != nil {
		return blocks.KeyInfo{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dir != "" {
		for _, suffix := range []string{keySuffix, issueSuffix} {
			if err := os.Remove(filepath.Join(k.dir, name+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return blocks.KeyInfo{}, fmt.Errorf("node: keys: %w", err)
			}
		}
	}
	delete(k.keys, name)
	delete(k.last, name)
	return keyInfo(name, key), nil
}

// get gives the key of a name, "" being the peer's own.
func (k *Keys) get(name string) (crypto.PrivKey, error) {
	if name == "" || name == blocks.SelfKey {
		return k.self, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[name]
	if !ok {
		return nil, fmt.Errorf("key %q: %w", name, blocks.ErrNoKey)
	}
	return key, nil
}

// issued gives what was last published with a key.
func (k *Keys) issued(name string) (was issue, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was, ok = k.last[cmp.Or(name, blocks.SelfKey)]
	return was, ok
}

// note keeps what was published with a key, so that a later number is never lower.
func (k *Keys) note(name string, now issue) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	name = cmp.Or(name, blocks.SelfKey)
	if k.dir != "" {
		data, err := json.Marshal(now)
		if err == nil {
			err = os.MkdirAll(k.dir, 0o700)
		}
		if err == nil {
			err = maybe.WriteFile(filepath.Join(k.dir, name+issueSuffix), append(data, '\n'), 0o600)
		}
		if err != nil {
			return fmt.Errorf("node: keys: %w", err)
		}
	}
	k.last[name] = now
	return nil
}

// keyInfo says who key is.
func keyInfo(name string, key crypto.PrivKey) blocks.KeyInfo {
	return blocks.KeyInfo{Key: name, Name: nameOf(key).String(), Type: "ed25519"}
}

func nameOf(key crypto.PrivKey) ipns.Name {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		panic(err) // every key here is one that an id can be made of
	}
	return ipns.NameFromPeer(id)
}
