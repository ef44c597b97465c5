package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) pinCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pin",
		Short: "Say what is wanted on this peer",
		Long: `Say what is wanted on this peer. What is put here is pinned by that; what was merely
read may be forgotten. Copies on other peers have nothing to do with pins.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(p.pinLsCmd(), p.pinAddCmd(), p.unpinCmd("rm PATH...", "  cairn pin rm CID"))
	return cmd
}

func (p *program) rmCmd() *cobra.Command { return p.unpinCmd("rm PATH...", "  cairn rm CID") }

func (p *program) unpinCmd(use, example string) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: "Keep roots on this peer no longer",
		Long: `Keep roots on this peer no longer. Their blocks may be forgotten here from now on; copies
that other peers hold for a put stay until its lease runs out, which is no longer
renewed. cairn withdraw ends the lease now.`,
		Example: example,
		Args:    some("a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, _ *watch, c *client.Client, path string) error {
				pin, err := c.Unpin(ctx, path)
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, api.NewPin(pin))
				} else {
					fmt.Fprintln(p.out, pin.Root)
				}
				if pin.Lease != (blocks.LeaseID{}) {
					p.note("not kept here any more; other peers keep their copies until the lease runs out; cairn withdraw %s ends it now", pin.Root)
				}
				return nil
			})
		},
	}
}

func (p *program) pinLsCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List what is wanted on this peer",
		Example: "  cairn pin ls",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				pins, err := c.Pins(ctx)
				if err != nil {
					return err
				}
				p.printPins(pins)
				return nil
			})
		},
	}
}

func (p *program) printPins(pins []blocks.Pin) {
	if p.json {
		out := make([]api.Pin, len(pins))
		for i, pin := range pins {
			out[i] = api.NewPin(pin)
		}
		writeJSON(p.out, out)
		return
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CID\tSIZE\tBLOCKS\tSINCE\tNAME")
	for _, pin := range pins {
		name := "-"
		if pin.Name != "" {
			name = shown(pin.Name)
		}
		if pin.Pending {
			name += " (not all copies yet)"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", pin.Root, size(pin.Size), pin.Blocks, pin.Time.UTC().Format(time.RFC3339), name)
	}
	_ = t.Flush() // as every write to standard output
}

func (p *program) pinAddCmd() *cobra.Command {
	var o pinned
	cmd := &cobra.Command{
		Use:   "add PATH...",
		Short: "Fetch files and trees, and keep them on this peer",
		Long: `Fetch files and trees, and keep them on this peer. With --lease other peers are asked to
keep them too, under a lease of this peer's own: then they outlive the lease of whoever
put them.`,
		Example: "  cairn pin add --name photos CID\n  cairn pin add --lease --expires 90d CID",
		Args:    some("a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.name != "" && len(args) > 1 {
				return usagef("--name: want one path, got %d", len(args))
			}
			if err := o.check(cmd.Flags().Changed("replicas")); err != nil {
				return err
			}
			return p.each(cmd.Context(), args, func(ctx context.Context, w *watch, c *client.Client, path string) error {
				return p.pinAdd(ctx, w, c, path, o)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "what to call it")
	f.BoolVar(&o.lease, "lease", false, "ask other peers to keep it too")
	f.StringVar(&o.expires, "expires", "", "with --lease: how `long` they are asked to, such as 180d; empty is the daemon's choice, renewed by itself")
	f.IntVar(&o.Replicas, "replicas", 0, "with --lease: `number` of copies on other peers, 1 to 20; 0 is the daemon's choice")
	return cmd
}

// pinned is what pin add was asked for.
type pinned struct {
	blocks.LeaseOptions
	name, expires string
	lease         bool
}

func (o *pinned) check(replicas bool) (err error) {
	switch {
	case o.expires != "" && !o.lease:
		return usagef("--expires: want --lease too")
	case replicas && !o.lease:
		return usagef("--replicas: want --lease too")
	case o.Replicas < 0 || o.Replicas > blocks.MaxReplicas:
		return usagef("--replicas %d: want 1 to %d", o.Replicas, blocks.MaxReplicas)
	}
	o.Expires, err = lifetime(o.expires)
	return err
}

func (p *program) pinAdd(ctx context.Context, w *watch, c *client.Client, path string, o pinned) error {
	m := p.meter()
	defer m.clear()
	var last blocks.Progress
	tell := func(now blocks.Progress) {
		if now.Safe != last.Safe || now.Blocks != last.Blocks {
			w.moved()
		}
		last = now
		if p.json {
			writeJSON(p.out, api.StatusLine{Type: api.LineStatus, Progress: now})
		} else {
			m.show("fetching %s  %d of %s here", printable(path), now.Safe, count(now.Blocks, "block"))
		}
	}
	var pin blocks.Pin
	var l blocks.LeaseInfo
	var err error
	if o.lease {
		pin, l, err = c.PinLeased(ctx, path, o.name, o.LeaseOptions, tell)
	} else {
		pin, err = c.Pin(ctx, path, o.name, tell)
	}
	if err != nil {
		return err
	}
	m.clear()
	if p.json {
		line := api.PinLine{Type: api.LineSummary, Pin: api.NewPin(pin)}
		if o.lease {
			own := api.NewLease(l)
			line.Granted = &own
		}
		writeJSON(p.out, line)
		return nil
	}
	p.note("%s  %s  all here", size(pin.Size), count(pin.Blocks, "block"))
	if o.lease {
		p.note("%d other peers are asked to keep each block until %s; %s; cairn health %s says how many do", l.Replicas, l.Expires.UTC().Format(time.RFC3339), recorded(l), pin.Root)
	}
	fmt.Fprintln(p.out, pin.Root)
	return nil
}
