package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/gofrs/flock"
	"github.com/google/renameio/v2/maybe"
)

// testnet is a network of daemons on this machine, as state.json has it. Whoever
// changes it holds the lock beside it.
type testnet struct {
	Name     string    `json:"name"`
	Network  string    `json:"network"` // what its peers call it; no other network has it
	Dir      string    `json:"dir"`
	Replicas int       `json:"replicas"`
	Repair   bool      `json:"repair"`
	Down     bool      `json:"down"` // it was taken down, and its data kept
	Created  time.Time `json:"created"`
	Peers    []member  `json:"peers"`
}

// member is one peer of a testnet: a daemon with a home of its own.
type member struct {
	Name    string `json:"name"` // p0, p1, …
	Home    string `json:"home"`
	ID      string `json:"id"`
	Addr    string `json:"addr"` // full multiaddress
	API     string `json:"api"`  // URL
	Gateway string `json:"gateway"`
	process        // of the last start; zero before
}

// LogFile is what the daemon wrote.
func (m member) logFile() string { return filepath.Join(m.Home, "daemon.log") }

// testnetDir is where the testnets are, a directory each.
func (p *program) testnetDir() (string, error) {
	if dir := cmp.Or(p.testnets, os.Getenv("CAIRN_TESTNET_DIR")); dir != "" {
		return filepath.Abs(dir)
	}
	xdg.Reload() // the environment as it is now
	if !filepath.IsAbs(xdg.StateHome) {
		return "", errors.New("testnet: neither HOME nor XDG_STATE_HOME is set")
	}
	return filepath.Join(xdg.StateHome, "cairn", "testnet"), nil
}

// noTestnetError says that there is no testnet of a name.
type noTestnetError struct{ name string }

func (e *noTestnetError) Error() string {
	return fmt.Sprintf("no testnet %s: start one with `cairn testnet up`", e.name)
}

var testnetName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

func stateFile(dir string) string { return filepath.Join(dir, "state.json") }

// loadTestnet reads the testnet in parent/name.
func loadTestnet(parent, name string) (*testnet, error) {
	if !testnetName.MatchString(name) {
		return nil, usagef("testnet %q: want up to 31 of a-z, 0-9 and -", name)
	}
	data, err := os.ReadFile(stateFile(filepath.Join(parent, name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &noTestnetError{name}
	}
	if err != nil {
		return nil, fmt.Errorf("testnet: %w", err)
	}
	var t testnet
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("testnet %s: state.json: %w", name, err)
	}
	t.Dir = filepath.Join(parent, name) // wherever it was moved to
	return &t, nil
}

// save writes t, at one stroke.
func (t *testnet) save() error {
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	if err := maybe.WriteFile(stateFile(t.Dir), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	return nil
}

// lockTestnet keeps others from changing the testnet until unlock is called.
func lockTestnet(ctx context.Context, parent, name string) (unlock func(), err error) {
	if !testnetName.MatchString(name) {
		return nil, usagef("testnet %q: want up to 31 of a-z, 0-9 and -", name)
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("testnet: %w", err)
	}
	l := flock.New(filepath.Join(parent, "."+name+".lock"))
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second) // longer than a down takes
	defer cancel()
	if ok, err := l.TryLockContext(ctx, 50*time.Millisecond); err != nil || !ok {
		return nil, fmt.Errorf("testnet %s: another command is changing it: %w", name, err)
	}
	return func() { _ = l.Unlock() }, nil // the process's end unlocks as well
}

// live are the peers whose process runs.
func (t *testnet) live() []member {
	return slices.DeleteFunc(slices.Clone(t.Peers), func(m member) bool { return !m.alive() })
}

// awake are those of them that are not paused.
func (t *testnet) awake() []member {
	return slices.DeleteFunc(t.live(), func(m member) bool { return m.paused() })
}

// peer finds a peer by its name.
func (t *testnet) peer(name string) (*member, error) {
	for i := range t.Peers {
		if t.Peers[i].Name == name {
			return &t.Peers[i], nil
		}
	}
	return nil, usagef("testnet %s has no peer %q: want p0 to p%d", t.Name, name, len(t.Peers)-1)
}

// allTestnets are all that have a state, by name.
func (p *program) allTestnets() []*testnet {
	parent, err := p.testnetDir()
	if err != nil {
		return nil
	}
	files, _ := filepath.Glob(stateFile(filepath.Join(parent, "*"))) // the pattern is well formed
	var all []*testnet
	for _, f := range files {
		if t, err := loadTestnet(parent, filepath.Base(filepath.Dir(f))); err == nil {
			all = append(all, t)
		}
	}
	return all
}

// onlyTestnet gives the first live peer of the testnet that is up, if it is one.
func (p *program) onlyTestnet() (t *testnet, first member, ok bool) {
	for _, each := range p.allTestnets() {
		live := each.live()
		if len(live) == 0 {
			continue
		}
		if ok {
			return nil, member{}, false
		}
		t, first, ok = each, live[0], true
		if awake := each.awake(); len(awake) > 0 {
			first = awake[0]
		}
	}
	return t, first, ok
}

// findPeer finds NAME[@testnet]; without a testnet it is the one named default,
// or the only one that is up.
func (p *program) findPeer(peer string) (*member, error) {
	parent, err := p.testnetDir()
	if err != nil {
		return nil, err
	}
	name, net, given := strings.Cut(peer, "@")
	if !given {
		net = "default"
	}
	t, err := loadTestnet(parent, net)
	if !given && (err != nil || len(t.live()) == 0) {
		if only, _, ok := p.onlyTestnet(); ok {
			t, err = only, nil
		}
	}
	var none *noTestnetError
	if errors.As(err, &none) {
		return nil, &noDaemonError{"there is no testnet " + none.name}
	}
	if err != nil {
		return nil, err
	}
	m, err := t.peer(name)
	if err != nil {
		return nil, err
	}
	if !m.alive() {
		return nil, &peerDownError{m.Name, t.Name}
	}
	return m, nil
}

// peerDownError says that a peer of a testnet does not run.
type peerDownError struct{ peer, testnet string }

func (e *peerDownError) Error() string {
	return fmt.Sprintf("%s of testnet %s is not running: `cairn testnet start %[1]s` starts it", e.peer, e.testnet)
}
