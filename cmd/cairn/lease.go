package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) leaseCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lease",
		Short: "Say how long other peers keep what was put",
		Long: `Say how long other peers keep what was put. A lease is renewed by itself when half of its
time is over, as long as its root is pinned here and the daemon runs now and then. One
whose end was chosen with --expires is not.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(p.leaseLsCmd(), p.leaseRenewCmd())
	return cmd
}

func (p *program) leaseLsCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List this peer's leases",
		Example: "  cairn lease ls",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				all, err := c.Leases(ctx)
				if err != nil {
					return err
				}
				p.printLeases(all)
				return nil
			})
		},
	}
}

func (p *program) printLeases(all []blocks.LeaseInfo) {
	if p.json {
		out := make([]api.Lease, len(all))
		for i, l := range all {
			out[i] = api.NewLease(l)
		}
		writeJSON(p.out, out)
		return
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CID\tSTATE\tEXPIRES\tRENEWS\tCOPIES\tSIZE\tNAME")
	for _, l := range all {
		name, renews := "-", "no"
		if l.Name != "" {
			name = shown(l.Name)
		}
		if l.Renews {
			renews = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", l.Root, l.State, l.Expires.UTC().Format(time.RFC3339), renews, l.Replicas, size(int64(l.Bytes)), name)
	}
	_ = t.Flush() // as every write to standard output
}

func (p *program) leaseRenewCmd() *cobra.Command {
	var expires string
	cmd := &cobra.Command{
		Use:   "renew PATH...",
		Short: "Ask other peers to keep files and trees for longer",
		Long: `Ask other peers to keep files and trees for longer. It costs one small record, however
large they are. Without --expires it is for as long as the last time, and goes on being
renewed by itself; with it, that is the end. What is pinned here and was put by somebody
else gets a lease of this peer's own.`,
		Example: "  cairn lease renew --expires 90d CID",
		Args:    some("a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			life, err := lifetime(expires)
			if err != nil {
				return err
			}
			return p.each(cmd.Context(), args, func(ctx context.Context, _ *watch, c *client.Client, path string) error {
				l, err := c.Renew(ctx, path, life)
				if err != nil {
					return err
				}
				p.printLease(l)
				p.note("other peers keep it until %s; %s", l.Expires.UTC().Format(time.RFC3339), recorded(l))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&expires, "expires", "", "how `long` from now on, such as 90d; empty is as long as the last time")
	return cmd
}

// lifetime reads the time that a lease is to last; "" is 0.
func lifetime(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	var d node.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) < blocks.MinLeaseTime || time.Duration(d) > blocks.MaxLeaseTime {
		return 0, usagef("--expires %s: want a time such as 36h or 180d, from 1m to 400d", text)
	}
	return time.Duration(d), nil
}

func (p *program) printLease(l blocks.LeaseInfo) {
	if p.json {
		writeJSON(p.out, api.NewLease(l))
		return
	}
	fmt.Fprintln(p.out, l.Root)
}

// recorded says who has the record of l.
func recorded(l blocks.LeaseInfo) string {
	if l.Keepers == 0 {
		return "no other peer has heard of it yet, this one goes on telling them"
	}
	return "the record is on " + count(l.Keepers, "peer")
}
