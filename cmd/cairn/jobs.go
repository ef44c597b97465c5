package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) jobsCmd() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:        "jobs",
		SuggestFor: []string{"job", "queue"},
		Short:      "List the puts that are not done yet",
		Long: `List the puts that are not done yet: those whose file is still coming, those that are
being spread, and those that are queued because not every block has all the copies
the network can hold. The daemon goes on with them by itself, also after a restart.

SAFE is the blocks with a quorum of copies, SHORT the others; COPIES says how many
blocks have how many copies. A holder that failed a put is told of below it, with
what it said last.`,
		Example: "  cairn jobs\n  cairn jobs --all --json",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				jobs, err := c.Jobs(ctx)
				if err != nil {
					return err
				}
				shown := []api.Job{}
				for _, j := range jobs {
					if all || j.Ended.IsZero() {
						shown = append(shown, j)
					}
				}
				p.printJobs(shown)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that have ended in the last ten minutes")
	return cmd
}

func (p *program) printJobs(jobs []api.Job) {
	if p.json {
		writeJSON(p.out, jobs)
		return
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CID\tSTATE\tAGE\tSIZE\tSAFE\tSHORT\tCOPIES\tNAME")
	for _, j := range jobs {
		root, name := "-", "-"
		if j.Root != "" {
			root = j.Root
		}
		if j.Name != "" {
			name = shown(j.Name)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", root, j.State, time.Since(j.Began).Round(time.Second), size(j.Bytes),
			j.Progress.Safe, j.Progress.Blocks-j.Progress.Safe, histogram(j.Progress.Copies), name)
		for _, f := range j.Failed {
			who := f.Peer
			if who == "" {
				who = "here"
			}
			fmt.Fprintf(t, "  %s: %s\n", printable(who), printable(f.Message))
		}
	}
	_ = t.Flush()
}
