package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) idCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "id",
		Short:   "Say who a peer is and how it is doing",
		Example: "  cairn id\n  cairn id --peer p3 --json",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				id, err := c.ID(ctx)
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, id)
					return nil
				}
				t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
				fmt.Fprintf(t, "id\t%s\nagent\t%s\nnetwork\t%s (%s)\nstate\t%s\npeers\t%d\nblocks\t%d\n",
					id.ID, id.Agent, id.Network, id.Profile, id.State, id.Peers, id.Blocks)
				fmt.Fprintf(t, "api\t%s\ngateway\t%s\nstarted\t%s\n", id.API, id.Gateway, id.Started.UTC().Format(time.RFC3339))
				for _, a := range id.Addresses {
					fmt.Fprintf(t, "address\t%s\n", a)
				}
				return t.Flush()
			})
		},
	}
}
