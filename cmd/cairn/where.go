package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) whereCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "where PATH",
		Short: "Say which peers have a block, as they prove it now",
		Long: `Say which peers have the block that a path names, as they prove it now: those who should
have it, closest first, those next to them, and who has put it. A file of more than one
block has its other blocks elsewhere; health --detail lists them.

The exit status is 4 when nobody has it.`,
		Example: "  cairn where CID",
		Args:    exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				w, err := c.Where(ctx, args[0])
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, api.NewWhere(w))
				} else {
					p.printWhere(w)
				}
				return nowhere(w)
			})
		},
	}
}

// nowhere is the error for a block that nobody has.
func nowhere(w blocks.Where) error {
	for _, a := range w.Answers {
		if a.Says == blocks.SaysProved || a.Says == blocks.SaysRead {
			return nil
		}
	}
	return &blocks.MissError{CID: w.CID, Asked: len(w.Answers)}
}

// saying is what a peer says of a block, for people.
var saying = map[string]string{
	blocks.SaysProved:  "has it, proved",
	blocks.SaysRead:    "has it for a while: no lease makes it stay",
	blocks.SaysLacks:   "lacks it",
	blocks.SaysFalse:   "says it has it, and could not prove it",
	blocks.SaysSilent:  "did not answer",
	blocks.SaysSuspect: "is away, and keeps its place for now",
}

func (p *program) printWhere(w blocks.Where) {
	fmt.Fprintf(p.out, "%s · %s\n", w.CID, w.Sentence())
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RANK\tPEER\tPART\tSAYS")
	for _, a := range w.Answers {
		rank, duty := fmt.Sprint(a.Rank), "next"
		switch {
		case a.Rank < 0:
			rank, duty = "-", "has put it"
		case a.Holder:
			duty = "holder"
		case a.Says == blocks.SaysSuspect:
			duty = "away"
		}
		peer, says := a.Peer.String(), saying[a.Says]
		if a.Self {
			peer += " (asked)"
		}
		if a.Error != "" {
			says += ": " + printable(a.Error)
		}
		if a.Peer == w.Repairs {
			says += "; is to restore what is missing"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", rank, peer, duty, says)
	}
	_ = t.Flush() // as every write to standard output
	if !w.Leased {
		fmt.Fprintln(p.out, "no lease stands on it: nobody keeps it for the network")
	}
}

func (p *program) whyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "why PATH",
		Short: "Say why a file is short of copies, or cannot be read",
		Long: `Say why a file or a tree is short of copies, or cannot be read: the first block that
nobody has, or the one with the fewest copies, and what each of its holders answers.

The exit status is 0 when there is an answer, be it that nothing is wrong, and 4 when
nobody has the block in question.`,
		Example: "  cairn why CID",
		Args:    exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				why, err := c.Why(ctx, args[0])
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, api.NewWhy(why))
				} else {
					p.printWhy(why)
				}
				if why.Worst != nil {
					return nowhere(*why.Worst)
				}
				return nil
			})
		},
	}
}

func (p *program) printWhy(why blocks.Why) {
	if why.Whole {
		fmt.Fprintln(p.out, "nothing is wrong:", why.Reason)
		return
	}
	if why.Health != nil {
		fmt.Fprintln(p.out, counts(*why.Health))
	}
	if why.Worst != nil {
		p.printWhere(*why.Worst)
	}
}

func (p *program) repairCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "repair PATH",
		Short: "Give missing copies of a file now",
		Long: `Give missing copies of a file or a tree now, rather than when it is some peer's turn.
The network repairs what it keeps by itself; this is for who cannot wait. The exit
status is 6 when copies are missing still.`,
		Example: "  cairn repair CID",
		Args:    exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, w *watch, c *client.Client) error {
				m := p.meter()
				defer m.clear()
				out, err := c.Restore(ctx, args[0], func(d blocks.Done) {
					w.moved()
					m.show("%d of %d blocks whole", d.Done, d.Total)
				})
				if err != nil {
					return err
				}
				m.clear()
				if p.json {
					writeJSON(p.out, api.RestoredLine{Type: api.LineSummary, CID: out.Root.String(), Restored: out})
				} else {
					fmt.Fprintf(p.out, "%s · %d of %s lacked copies · given: %d, %s\n", out.Root, out.Short, count(out.Blocks, "block"), out.Copies, size(out.Bytes))
				}
				if out.Lacking == 0 {
					return nil
				}
				return &lackingError{out}
			})
		},
	}
}

// lackingError says that a repair could not bring all copies.
type lackingError struct{ out blocks.Restored }

func (e *lackingError) Error() string {
	s := fmt.Sprintf("%d of the blocks of %s lack copies still", e.out.Lacking, e.out.Root)
	if e.out.Error != "" {
		s += ": " + printable(e.out.Error)
	}
	return s
}

// watchHealth prints the health of path whenever it changed, until ctx is done.
func (p *program) watchHealth(ctx context.Context, w *watch, c *client.Client, path string, detail bool) error {
	for h, err := range c.Watch(ctx, path, detail) {
		if err != nil {
			return err
		}
		w.moved()
		if p.json {
			p.printHealth(h)
			continue
		}
		line := []string{h.Proved.Local().Format(time.TimeOnly), counts(h)}
		if len(h.Repairs) > 0 {
			line = append(line, count(len(h.Repairs), "peer")+" to restore them")
		}
		fmt.Fprintln(p.out, strings.Join(line, " · "))
		for _, b := range h.Detail {
			fmt.Fprintln(p.out, detailLine(b.CID, b.Holders))
		}
	}
	return cause(ctx)
}
