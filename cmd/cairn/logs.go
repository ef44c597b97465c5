package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/cairn-network/cairn/node"
	golog "github.com/ipfs/go-log/v2"
)

type logger = *slog.Logger

// logger makes what the daemon tells its story to; end closes it. libp2p logs
// through it as well; boxo and kad-dht have their own way to stderr, and are told
// to speak of errors only, unless GOLOG_LOG_LEVEL says otherwise.
func (p *program) logger(cfg node.LogConfig) (log logger, end func(), err error) {
	level, parts, err := cfg.Levels()
	if err != nil {
		return nil, nil, fmt.Errorf("log: %w", err)
	}
	var w io.Writer = p.err
	end = func() {}
	if cfg.File != "" {
		f, err := os.OpenFile(cfg.File, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("log: %w", err)
		}
		w, end = f, func() { _ = f.Close() } // each line is in the file already
	}
	if os.Getenv("GOLOG_LOG_LEVEL") == "" {
		if err := golog.SetLogLevel("*", "error"); err != nil {
			return nil, nil, fmt.Errorf("log: %w", err)
		}
	}
	o := &slog.HandlerOptions{Level: slog.LevelDebug} // parted is stricter
	var h slog.Handler = slog.NewTextHandler(w, o)
	if cfg.Format == "json" {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(&parted{h, level, parts}), end, nil
}

// parted lets through what its level allows. With the attribute part it takes the
// level that the part has.
type parted struct {
	slog.Handler
	level slog.Level
	parts map[string]slog.Level
}

func (h *parted) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *parted) WithAttrs(attrs []slog.Attr) slog.Handler {
	level := h.level
	for _, a := range attrs {
		if l, ok := h.parts[a.Value.String()]; ok && a.Key == "part" {
			level = l
		}
	}
	return &parted{h.Handler.WithAttrs(attrs), level, h.parts}
}

func (h *parted) WithGroup(name string) slog.Handler {
	return &parted{h.Handler.WithGroup(name), h.level, h.parts}
}
