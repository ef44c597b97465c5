package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/adrg/xdg"
	"github.com/google/renameio/v2/maybe"
)

// homeVersion is the layout of Data that this program writes.
const homeVersion = 1

// Home is where a peer keeps itself: its configuration, what it must not lose,
// and what belongs to one run.
type Home struct {
	Config string // file
	Data   string // directory: identity and blocks
	State  string // directory: log, address and token of the API
}

// HomeAt is the home with everything under one directory.
func HomeAt(dir string) Home {
	return Home{
		Config: filepath.Join(dir, "config.toml"),
		Data:   filepath.Join(dir, "data"),
		State:  filepath.Join(dir, "state"),
	}
}

// DefaultHome is the user's home, where the system keeps such things.
func DefaultHome() (Home, error) {
	xdg.Reload() // the environment as it is now
	h := Home{
		Config: filepath.Join(xdg.ConfigHome, "cairn", "config.toml"),
		Data:   filepath.Join(xdg.DataHome, "cairn"),
		State:  filepath.Join(xdg.StateHome, "cairn"),
	}
	for _, p := range []string{h.Config, h.Data, h.State} {
		if !filepath.IsAbs(p) {
			return Home{}, fmt.Errorf("node: home: %s is not absolute: neither HOME nor the XDG directories are set", p)
		}
	}
	return h, nil
}

// KeyFile holds the identity.
func (h Home) KeyFile() string { return filepath.Join(h.Data, "identity.key") }

// VersionFile holds the number of the layout of Data.
func (h Home) VersionFile() string { return filepath.Join(h.Data, "version") }

// Blocks is the directory of the block store.
func (h Home) Blocks() string { return filepath.Join(h.Data, "blocks") }

// Keys is the directory of the keys of names.
func (h Home) Keys() string { return filepath.Join(h.Data, "keys") }

// Requests is the directory of what was asked of the pinning service.
func (h Home) Requests() string { return filepath.Join(h.Data, "requests") }

// APIAddrFile holds the URL of the API while a daemon serves it.
func (h Home) APIAddrFile() string { return filepath.Join(h.State, "api.addr") }

// TokenFile holds the token that the API asks for.
func (h Home) TokenFile() string { return filepath.Join(h.State, "api.token") }

// Exists reports whether the home was made: whether it has an identity.
func (h Home) Exists() bool {
	_, err := os.Stat(h.KeyFile())
	return err == nil
}

// HomeError says that a home is missing, or of a layout that this program does
// not know.
type HomeError struct {
	Dir    string
	Reason string
}

func (e *HomeError) Error() string { return "home " + e.Dir + ": " + e.Reason }

// Check answers nil, or a *[HomeError] when the home is missing or was made by
// a newer cairn.
func (h Home) Check() error {
	if !h.Exists() {
		return &HomeError{h.Data, "not there yet: `cairn daemon` makes it"}
	}
	return h.checkVersion()
}

func (h Home) checkVersion() error {
	data, err := os.ReadFile(h.VersionFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // of a home that is just being made
	}
	if err != nil {
		return fmt.Errorf("node: home: %w", err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(data)))
	switch {
	case err != nil || v < 1:
		return &HomeError{h.Data, fmt.Sprintf("its version file says %q, want a number", strings.TrimSpace(string(data)))}
	case v > homeVersion:
		return &HomeError{h.Data, fmt.Sprintf("made by a newer cairn (version %d, this one knows %d)", v, homeVersion)}
	}
	return nil
}

// Create makes what is missing of h: directories, identity, token and, from cfg,
// a commented configuration file. What is there stays as it is.
func Create(h Home, cfg Config) error {
	if err := h.checkVersion(); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(h.Config), h.Data, h.State} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("node: home: %w", err)
		}
	}
	template, err := cfg.template()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{h.Config, template},
		{h.TokenFile(), []byte(rand.Text() + "\n")},
		{h.VersionFile(), []byte(strconv.Itoa(homeVersion) + "\n")},
	} {
		if _, err := os.Stat(f.name); err == nil {
			continue
		}
		if err := createOnce(f.name, f.data); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("node: home: %w", err)
		}
	}
	if h.Exists() { // last, because it is what makes a home
		return nil
	}
	if _, err := CreateIdentity(h.KeyFile()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Layout is the number of the layout of Data, 0 for a home that has none yet, and of the
// one that this program writes.
func (h Home) Layout() (has, writes int) {
	data, err := os.ReadFile(h.VersionFile())
	if err != nil {
		return 0, homeVersion
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, homeVersion // Check says what is wrong with it
	}
	return v, homeVersion
}

// WriteAPIAddr tells others on this machine where the API is served. The file
// appears whole or not at all.
func (h Home) WriteAPIAddr(url string) error {
	if err := maybe.WriteFile(h.APIAddrFile(), []byte(url+"\n"), 0o600); err != nil {
		return fmt.Errorf("node: home: %w", err)
	}
	return nil
}
