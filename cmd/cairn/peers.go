package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) peersCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "peers",
		Short:   "List the peers that a peer is connected to",
		Example: "  cairn peers\n  cairn peers --peer p3",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				peers, err := c.Peers(ctx)
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, peers)
					return nil
				}
				t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "PEER\tSTORES\tLATENCY\tAGENT\tADDRESS")
				for _, q := range peers {
					stores, latency := "no", "-"
					switch {
					case q.Member:
						stores = "yes"
					case q.Suspect:
						stores = "silent"
					}
					if q.Latency > 0 {
						latency = time.Duration(q.Latency).Round(time.Microsecond).String()
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", q.ID, stores, latency, printable(q.Agent), strings.Join(q.Addresses, " "))
				}
				return t.Flush()
			})
		},
	}
}

// printable is what a stranger said, without what would move the cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
