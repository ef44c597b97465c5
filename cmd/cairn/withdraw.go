package main

import (
	"context"

	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) withdrawCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "withdraw PATH...",
		Short: "Take back the leases of files and trees: other peers may forget them",
		Long: `Take back the leases of files and trees. Other peers repair their copies no longer, and
forget them when they need the space: those that are reached at once, the others within
a week. Nothing makes them forget sooner, and who has pinned them keeps them. What is
pinned here stays here until cairn rm.`,
		Example: "  cairn withdraw CID",
		Args:    some("a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, _ *watch, c *client.Client, path string) error {
				l, err := c.Withdraw(ctx, path)
				if err != nil {
					return err
				}
				p.printLease(l)
				p.note("withdrawn; %s", recorded(l))
				return nil
			})
		},
	}
}
