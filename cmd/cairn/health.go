package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"
)

// askAgain is the time between two looks of health --wait.
const askAgain = 500 * time.Millisecond

func (p *program) healthCmd() *cobra.Command {
	var wait, follow, detail bool
	cmd := &cobra.Command{
		Use:   "health PATH",
		Short: "Say how many live copies a file has, as its holders prove them now",
		Long: `Say how many live copies a file has, as its holders prove them now.

With --wait it looks again until every block has all the copies that the network
can hold, and gives up with exit status 5 after --timeout in all. With --watch it
prints a line whenever something changed, until interrupted. It ends with 4 when
nobody has the file.`,
		Example: `  cairn health CID
  cairn health --wait --timeout 2m CID
  cairn health --watch CID`,
		Args: exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if wait && follow {
				return usagef("--wait and --watch: want one of them")
			}
			if follow && !cmd.Flags().Changed("timeout") {
				p.timeout = 0 // nothing changes for days
			}
			return p.talk(cmd.Context(), func(ctx context.Context, w *watch, c *client.Client) error {
				if follow {
					return p.watchHealth(ctx, w, c, args[0], detail)
				}
				var err error
				var h blocks.Health
				if wait {
					h, err = p.heal(ctx, c, args[0], detail)
				} else {
					h, err = c.Health(ctx, args[0], detail)
				}
				if h.Root.Defined() {
					p.printHealth(h)
				}
				if err == nil && lost(h) {
					return &blocks.MissError{CID: h.Root, Asked: h.Members}
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until every block has all its copies")
	cmd.Flags().BoolVar(&follow, "watch", false, "print the health whenever it changes, until interrupted")
	cmd.Flags().BoolVar(&detail, "detail", false, "list every block with its holders")
	return cmd
}

// heal looks at path until it is whole, and gives the last look.
func (p *program) heal(ctx context.Context, c *client.Client, path string, detail bool) (last blocks.Health, err error) {
	m, began := p.meter(), time.Now()
	defer m.clear()
	for {
		h, err := c.Health(ctx, path, detail)
		switch {
		case ctx.Err() != nil && last.Root.Defined():
			return last, fmt.Errorf("not all copies within %s: %w", p.timeout, context.Cause(ctx))
		case err != nil:
			return last, err
		case lost(h):
			return h, nil
		case h.Good():
			if healed := time.Since(began); last.Root.Defined() {
				p.note("healed in %.1f s", healed.Seconds())
			}
			return h, nil
		}
		last = h
		m.show("%s · %.1f s", counts(h), time.Since(began).Seconds())
		select {
		case <-ctx.Done():
		case <-time.After(askAgain):
		}
	}
}

// lost reports whether nobody has anything of a file, and nobody is to have it.
func lost(h blocks.Health) bool { return len(h.Holders) == 0 && !h.Leased }

// counts says h in one line: 3 blocks · 2.1 MiB · 1 with 4, 2 with 5 of 5 copies live.
func counts(h blocks.Health) string {
	var with []string
	for n, blocks := range h.Copies {
		if blocks > 0 {
			with = append(with, fmt.Sprintf("%d with %d", blocks, n))
		}
	}
	copies := strings.Join(with, ", ")
	if len(with) == 1 {
		copies = fmt.Sprint(h.Min)
	}
	return fmt.Sprintf("%s · %s · %s of %d copies live", count(h.Blocks, "block"), size(h.Bytes), copies, min(h.Target, h.Members))
}

func (p *program) printHealth(h blocks.Health) {
	if p.json {
		writeJSON(p.out, api.NewHealth(h))
		return
	}
	fmt.Fprintln(p.out, counts(h))
	fmt.Fprintln(p.out, h.Sentence())
	for _, b := range h.Detail {
		fmt.Fprintln(p.out, detailLine(b.CID, b.Holders))
	}
}

func detailLine(c cid.Cid, holders []peer.ID) string {
	names := make([]string, len(holders))
	for i, id := range holders {
		names[i] = id.String()
	}
	return fmt.Sprintf("%s  %d  %s", c, len(holders), strings.Join(names, " "))
}
