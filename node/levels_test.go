package node_test

import (
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/node"
)

func TestEachPartMayHaveItsLevel(t *testing.T) {
	for _, c := range []struct {
		text  string
		all   slog.Level
		parts map[string]slog.Level
		want  string // of the error
	}{
		{"info", slog.LevelInfo, map[string]slog.Level{"libp2p": slog.LevelError}, ""},
		{"warn,dht=debug, wire=error", slog.LevelWarn, map[string]slog.Level{"libp2p": slog.LevelError, "dht": slog.LevelDebug, "wire": slog.LevelError}, ""},
		{"error,libp2p=debug", slog.LevelError, map[string]slog.Level{"libp2p": slog.LevelDebug}, ""},
		{"loud", 0, nil, `"loud": want one of debug, info, warn, error`},
		{"", 0, nil, `"": want one of`},
		{"dht=debug", 0, nil, `"dht=debug": want one of debug`},
		{"info,moon=debug", 0, nil, `"moon=debug": want one of api, dht`},
		{"info,dht", 0, nil, `"": want one of debug`},
		{"info,", 0, nil, `"": want one of api`},
	} {
		all, parts, err := node.LogConfig{Level: c.text}.Levels()
		if c.want == "" && (err != nil || all != c.all || !maps.Equal(parts, c.parts)) || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%q: got %v, %v, %v", c.text, all, parts, err)
		}
		cfg := node.DefaultConfig()
		cfg.Log.Level = c.text
		if err := cfg.Validate(); (err == nil) != (c.want == "") {
			t.Errorf("%q: Validate says %v", c.text, err)
		}
	}
}

// A part that logs and is not in the list could not be given a level.
func TestEveryPartThatLogsIsKnown(t *testing.T) {
	named := regexp.MustCompile(`With\("part", "([a-z0-9]+)"\)`)
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range named.FindAllSubmatch(text, -1) {
			found[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, node.LogParts) {
		t.Errorf("the parts that log are %q, the list has %q", got, node.LogParts)
	}
}
