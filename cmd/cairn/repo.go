package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

// corruptError says that blocks were found corrupt and could not be got anew.
type corruptError struct {
	left []string // CIDs
	of   int64
}

func (e *corruptError) Error() string {
	return fmt.Sprintf("%d of %s corrupt and not to be had elsewhere, the first is %s", len(e.left), count(int(e.of), "block"), e.left[0])
}

func (e *corruptError) Unwrap() error { return blocks.ErrMismatch }

func (p *program) repoCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo",
		Short: "Look after the place where a peer keeps its blocks",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	cmd.AddCommand(p.repoStatCmd(), p.repoVerifyCmd(), p.repoGCCmd(), p.repoCompactCmd())
	return cmd
}

func (p *program) repoStatCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "stat",
		Short: "Say what is kept on this peer, and what that takes",
		Long: `Say what is kept on this peer, and what that takes. Without a daemon the home is
read itself.`,
		Example: "  cairn repo stat",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, _, done := p.patience(cmd.Context())
			defer done()
			stat, err := askOrRead(p, func(c *client.Client) (blocks.RepoStat, error) { return c.RepoStat(ctx) },
				func(h node.Home) (blocks.RepoStat, error) { return h.IdleStat(ctx) })
			if err != nil {
				return err
			}
			p.printRepo(stat)
			return nil
		},
	}
}

// askOrRead asks the daemon; when there is none, it reads the home.
func askOrRead[T any](p *program, ask func(*client.Client) (T, error), read func(node.Home) (T, error)) (T, error) {
	c, err := p.client()
	var none *noDaemonError
	if errors.As(err, &none) {
		home, err := p.homeDirs()
		if err != nil {
			var zero T
			return zero, err
		}
		return read(home)
	}
	if err != nil {
		var zero T
		return zero, err
	}
	defer c.Close()
	return ask(c)
}

func (p *program) printRepo(s blocks.RepoStat) {
	if p.json {
		writeJSON(p.out, s)
		return
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	line("blocks", "%d", s.Blocks)
	line("data", "%s", size(s.Bytes))
	line("held", "%s under a lease", count(int(s.Held), "block"))
	line("pins", "%d", s.Pins)
	if s.Quota != 0 {
		line("for others", "%s of %s", size(s.Others), quota(s.Quota))
	}
	if s.Quarantined > 0 {
		line("corrupt", "%d, kept from everybody", s.Quarantined)
	}
	line("disk", "%s in %s, %s of it to be given back", size(s.Disk), count(int(s.Segments), "segment"), size(s.Dead))
	line("free", "%s", size(s.Free))
	line("format", "%d", s.Version)
	_ = t.Flush() // as every write to standard output
}

func quota(bytes int64) string {
	if bytes < 0 {
		return "no limit"
	}
	return size(bytes)
}

func (p *program) repoVerifyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Hash every block that is kept on this peer",
		Long: `Hash every block that is kept on this peer. One whose bytes are wrong is got anew from
a holder; if none has it the exit status is 13. Without a daemon the home is read
itself, and nothing is mended.`,
		Example: "  cairn repo verify --progress plain",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, w, done := p.patience(cmd.Context())
			defer done()
			m := p.meter()
			defer m.clear()
			tell := p.task(m, w, "verify", true)
			out, err := askOrRead(p, func(c *client.Client) (blocks.Verified, error) { return c.RepoVerify(ctx, tell) },
				func(h node.Home) (blocks.Verified, error) { return h.IdleVerify(ctx, tell) })
			if err != nil {
				return err
			}
			m.clear()
			return p.printVerified(out)
		},
	}
}

func (p *program) printVerified(v blocks.Verified) error {
	healed := map[string]bool{}
	for _, c := range v.Healed {
		healed[c] = true
	}
	var left []string
	for _, c := range v.Bad {
		if !healed[c] {
			left = append(left, c)
		}
	}
	if p.json {
		writeJSON(p.out, api.VerifiedLine{Type: api.LineSummary, Verified: v})
	} else {
		for _, c := range v.Bad {
			said := "corrupt"
			if healed[c] {
				said = "was corrupt, healed"
			}
			fmt.Fprintf(p.out, "%s  %s\n", c, said)
		}
		p.note("%s, %s checked: %d corrupt, %d healed", count(int(v.Blocks), "block"), size(v.Bytes), len(v.Bad), len(v.Healed))
	}
	if len(left) > 0 {
		return &corruptError{left, v.Blocks}
	}
	return nil
}

// task tells of a task on the store: that it moves, and how far it is.
func (p *program) task(m *meter, w *watch, verb string, bytes bool) func(blocks.Done) {
	var last blocks.Done
	return func(d blocks.Done) {
		if d != last {
			w.moved()
		}
		last = d
		show := func(n int64) string { return fmt.Sprint(n) }
		if bytes {
			show = size
		}
		switch {
		case p.json:
			m.line(p.out, api.TaskLine{Type: api.LineStatus, Done: d})
		case m.mode == "json":
			m.track(statusLine{Verb: verb, Phase: verb, Done: d.Done, Total: d.Total})
		case d.Total > 0:
			m.show("%s  %s of %s", verb, show(d.Done), show(d.Total))
		default:
			m.show("%s  %s", verb, show(d.Done))
		}
	}
}

func (p *program) repoGCCmd() *cobra.Command {
	var want node.Size
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Forget the blocks that nobody wants on this peer",
		Long: `Forget the blocks that nobody wants on this peer: what was merely read, what was
unpinned, and what was held for others until their lease ran out. What is pinned, and
what is held under a lease, stays; so does what puts under way have to do with.`,
		Example: `  cairn repo gc
  cairn repo gc --want 2GiB`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.each(cmd.Context(), []string{""}, func(ctx context.Context, w *watch, c *client.Client, _ string) error {
				m := p.meter()
				defer m.clear()
				out, err := c.RepoGC(ctx, int64(want), p.task(m, w, "gc", false))
				if err != nil {
					return err
				}
				m.clear()
				if p.json {
					writeJSON(p.out, api.SweptLine{Type: api.LineSummary, Swept: out})
					return nil
				}
				fmt.Fprintf(p.out, "%s forgotten, %s; %d kept\n", count(int(out.Blocks), "block"), size(out.Bytes), out.Kept)
				return nil
			})
		},
	}
	cmd.Flags().TextVar(&want, "want", node.Size(0), "stop when this `size` is free; 0 is all of it")
	return cmd
}

func (p *program) repoCompactCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Give the disk the space back that forgotten blocks take",
		Long: `Give the disk the space back that forgotten blocks take. A daemon does so by itself;
this does it now, and for segments that it would leave for later.`,
		Example: "  cairn repo compact",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.each(cmd.Context(), []string{""}, func(ctx context.Context, w *watch, c *client.Client, _ string) error {
				m := p.meter()
				defer m.clear()
				out, err := c.RepoCompact(ctx, p.task(m, w, "compact", true))
				if err != nil {
					return err
				}
				m.clear()
				if p.json {
					writeJSON(p.out, api.CompactedLine{Type: api.LineSummary, Compacted: out})
					return nil
				}
				fmt.Fprintf(p.out, "%s given back, %s rewritten\n", size(out.Bytes), count(int(out.Segments), "segment"))
				return nil
			})
		},
	}
}
