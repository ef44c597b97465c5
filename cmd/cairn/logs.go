package main

import (
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
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
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
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), end, nil
	}
	return slog.New(slog.NewTextHandler(w, o)), end, nil
}
