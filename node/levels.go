package node

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// LogParts are the parts of a peer that log under a name of their own, as the
// attribute part, and may have a level of their own.
var LogParts = []string{"api", "dht", "disk", "libp2p", "names", "public", "pubsub", "records", "replica", "web", "wire"}

// Levels reads a level such as "info,dht=debug": that of all, then those of parts.
// libp2p speaks of errors only, unless it is named.
func (c LogConfig) Levels() (all slog.Level, parts map[string]slog.Level, err error) {
	words := strings.Split(c.Level, ",")
	if all, err = oneLevel(words[0]); err != nil {
		return 0, nil, err
	}
	parts = map[string]slog.Level{"libp2p": slog.LevelError}
	for _, w := range words[1:] {
		name, text, _ := strings.Cut(strings.TrimSpace(w), "=")
		if !slices.Contains(LogParts, name) {
			return 0, nil, fmt.Errorf("%q: want one of %s, and a level, such as info,dht=debug", w, strings.Join(LogParts, ", "))
		}
		if parts[name], err = oneLevel(text); err != nil {
			return 0, nil, err
		}
	}
	return all, parts, nil
}

func oneLevel(text string) (slog.Level, error) {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	l, ok := levels[text]
	if !ok {
		return 0, fmt.Errorf("%q: want one of debug, info, warn, error", text)
	}
	return l, nil
}

func levelError(c LogConfig) error {
	if _, _, err := c.Levels(); err != nil {
		return &ConfigError{Key: "log.level", Reason: err.Error()}
	}
	return nil
}
