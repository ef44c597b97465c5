package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/node"
)

func TestHomeIsMadeOnce(t *testing.T) {
	h := node.HomeAt(filepath.Join(t.TempDir(), "deep", "home"))
	if h.Exists() || h.Check() == nil {
		t.Fatal("exists before it was made")
	}
	cfg := node.DefaultConfig()
	cfg.API.Listen = "127.0.0.1:20100"
	if err := node.Create(h, cfg); err != nil {
		t.Fatal(err)
	}
	if err := h.Check(); err != nil || !h.Exists() {
		t.Fatalf("Check: %v", err)
	}
	got, err := node.LoadConfig(h.Config)
	if err != nil || !reflect.DeepEqual(got, cfg) {
		t.Errorf("config: got %+v, %v\nwant %+v", got, err, cfg)
	}
	before := read(t, h.Config) + read(t, h.KeyFile()) + read(t, h.TokenFile())
	if err := node.Create(h, node.DefaultConfig()); err != nil {
		t.Fatal(err)
	}
	if after := read(t, h.Config) + read(t, h.KeyFile()) + read(t, h.TokenFile()); after != before {
		t.Error("making a home again changed it")
	}
}

func TestHomeIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // modes say nothing there
	}
	h := node.HomeAt(filepath.Join(t.TempDir(), "home"))
	if err := node.Create(h, node.DefaultConfig()); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteAPIAddr("http://127.0.0.1:5101"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		h.Data: 0o700, h.State: 0o700, filepath.Dir(h.Config): 0o700,
		h.KeyFile(): 0o600, h.TokenFile(): 0o600, h.APIAddrFile(): 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	if token := strings.TrimSpace(read(t, h.TokenFile())); len(token) < 26 {
		t.Errorf("token of %d characters", len(token))
	}
}

func TestTemplateLeavesDefaultsAsComments(t *testing.T) {
	h := node.HomeAt(t.TempDir())
	cfg := node.DefaultConfig()
	cfg.Gateway.Listen = "127.0.0.1:8181"
	if err := node.Create(h, cfg); err != nil {
		t.Fatal(err)
	}
	text := read(t, h.Config)
	for _, line := range []string{"\n# r = 5\n", "\n[replica]\n", "\n# repair = true\n", "\nlisten = '127.0.0.1:8181'\n", "\n# listen = '127.0.0.1:5101'\n", "\n# expires = '180d'\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

func TestNewerHomeIsRefused(t *testing.T) {
	for text, want := range map[string]string{"99\n": "made by a newer cairn", "x": "want a number"} {
		h := node.HomeAt(t.TempDir())
		if err := node.Create(h, node.DefaultConfig()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(h.VersionFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{h.Check(), node.Create(h, node.DefaultConfig())} {
			if _, ok := errors.AsType[*node.HomeError](err); !ok || !strings.Contains(err.Error(), want) {
				t.Errorf("version %q: got %v, want a *HomeError with %q", text, err, want)
			}
		}
	}
}

func TestDefaultHomeFollowsXDG(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "c"))
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "d"))
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "s"))
	got, err := node.DefaultHome()
	want := node.Home{
		Config: filepath.Join(dir, "c", "cairn", "config.toml"),
		Data:   filepath.Join(dir, "d", "cairn"),
		State:  filepath.Join(dir, "s", "cairn"),
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
