package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) updatesCmd() *cobra.Command {
	n := 0
	cmd := &cobra.Command{
		Use:   "updates",
		Short: "Print announcements as they are heard, one a line, until interrupted",
		Example: `  cairn updates
  cairn updates --count 1 --json`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 0 {
				return usagef("--count %d: want 0 or more", n)
			}
			if !cmd.Flags().Changed("timeout") {
				p.timeout = 0 // nothing is announced for days
			}
			return p.talk(cmd.Context(), func(ctx context.Context, w *watch, c *client.Client) error {
				heard := 0
				for u, err := range c.Updates(ctx) {
					if err != nil {
						return err
					}
					w.moved()
					if p.json {
						writeJSON(p.out, api.UpdateLine{Type: "update", Update: u})
					} else if _, err := fmt.Fprintf(p.out, "%s  %s  %s  %s  from %s\n", u.Time.UTC().Format(time.RFC3339),
						printable(u.Root), size(u.Size), printable(u.Name), u.From); err != nil {
						return err
					}
					if heard++; heard == n {
						return nil
					}
				}
				return cause(ctx)
			})
		},
	}
	cmd.Flags().IntVar(&n, "count", 0, "end after this `number` of announcements; 0 is never")
	return cmd
}
