package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) logsCmd(with withTestnet) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:     "logs PEER",
		Short:   "Print what a peer's daemon wrote",
		Example: "  cairn testnet logs -f p3",
		Args:    exactly(1, "one peer, such as p3"),
	}
	cmd.RunE = with(false, func(ctx context.Context, t *testnet, args []string) error {
		m, err := t.peer(args[0])
		if err != nil {
			return err
		}
		f, err := os.Open(m.logFile())
		if err != nil {
			return fmt.Errorf("testnet: logs: %w", err)
		}
		defer f.Close()
		return p.copyLog(ctx, f, m.Name, follow)
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until interrupted")
	return cmd
}

// logLine is a line of a log, with --json.
type logLine struct {
	Type string `json:"type"` // log
	Peer string `json:"peer"`
	Line string `json:"line"`
}

// copyLog prints f, and what is added to it meanwhile if asked to follow.
func (p *program) copyLog(ctx context.Context, f io.Reader, peer string, follow bool) error {
	var out io.Writer = p.out
	if p.json {
		lines := &lineWriter{f: func(line string) { writeJSON(p.out, logLine{"log", peer, line}) }}
		defer lines.flush()
		out = lines
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.Copy(out, f); err != nil {
			return fmt.Errorf("testnet: logs: %w", err)
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return cause(ctx)
		case <-tick.C:
		}
	}
}

// lineWriter calls f with each whole line.
type lineWriter struct {
	f    func(line string)
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	for _, c := range b {
		if c != '\n' {
			w.rest = append(w.rest, c)
			continue
		}
		w.f(string(w.rest))
		w.rest = w.rest[:0]
	}
	return len(b), nil
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.f(string(w.rest))
	}
}
