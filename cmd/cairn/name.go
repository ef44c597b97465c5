package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

// unheardError says that a name's record is on this peer only.
type unheardError struct{ published blocks.Published }

func (e *unheardError) Error() string {
	return fmt.Sprintf("%s stands for %s on this peer only: no other peer has its record yet; it goes out when one can be reached", e.published.Name, e.published.Value)
}

func (p *program) nameCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "name",
		Short: "Publish what a name stands for, and find out",
		Long: `Publish what a name stands for, and find out. A name is the hash of a key, k51..., and what
it stands for can be changed by who has the key. Every command that takes a path takes
/ipns/NAME and ipns://NAME too, with a domain name that has a DNSLink as well.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(p.namePublishCmd(), p.nameResolveCmd(), p.nameWatchCmd(), p.nameImportCmd())
	return cmd
}

// printPublished says who has a name's record now.
func (p *program) printPublished(d blocks.Published) error {
	if p.json {
		writeJSON(p.out, d)
	} else {
		was := "the first"
		if d.Was > 0 {
			was = fmt.Sprintf("before it was %d", d.Was)
		}
		dht := "not in the DHT"
		if d.DHT {
			dht = "in the DHT too"
		}
		p.note("number %d (%s), on %s, %s, until %s", d.Seq, was, count(d.Peers, "other peer"), dht, d.Expires.UTC().Format(time.RFC3339))
		fmt.Fprintf(p.out, "%s %s\n", d.Name, printable(d.Value))
	}
	if d.Peers == 0 {
		return &unheardError{d}
	}
	return nil
}

func (p *program) namePublishCmd() *cobra.Command {
	var key string
	var lifetime, ttl node.Duration
	cmd := &cobra.Command{
		Use:   "publish PATH",
		Short: "Make a name stand for a path",
		Long: `Make a name stand for a path. The name's record gets a number above every one that is
known here or in the network, and is kept by the members closest to it; the exit status
is 6 when none of them could be reached. It lasts as long as a lease does unless
--lifetime says otherwise, and is renewed by itself while this peer runs.`,
		Example: `  cairn name publish CID
  cairn name publish --key site /ipfs/CID/docs`,
		Args: exactly(1, "a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				done, err := c.PublishName(ctx, key, args[0], blocks.NameOptions{Lifetime: time.Duration(lifetime), TTL: time.Duration(ttl)})
				if err != nil {
					return err
				}
				return p.printPublished(done)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", blocks.SelfKey, "`key` whose name it is")
	f.TextVar(&lifetime, "lifetime", node.Duration(0), "how long the record is good, as 90d; 0 is as long as a lease")
	f.TextVar(&ttl, "ttl", node.Duration(0), "how long others may do without asking anew, as 1m; 0 is 5m")
	return cmd
}

// printResolved says what a name stands for.
func (p *program) printResolved(r blocks.Resolved) {
	if p.json {
		writeJSON(p.out, r)
		return
	}
	if len(r.Conflict) > 0 {
		p.note("the owner of %s has signed number %d for something else too: %s", printable(r.Name), r.Seq, printable(strings.Join(r.Conflict, ", ")))
	}
	fmt.Fprintln(p.out, printable(r.Path))
}

func (p *program) nameResolveCmd() *cobra.Command {
	recursive := true
	cmd := &cobra.Command{
		Use:     "resolve NAME",
		Short:   "Print what a name stands for",
		Example: "  cairn name resolve k51...\n  cairn name resolve docs.example.com",
		Args:    exactly(1, "a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				r, err := c.ResolveName(ctx, args[0], recursive)
				if err == nil {
					p.printResolved(r)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", true, "follow names that lead to names")
	return cmd
}

func (p *program) nameWatchCmd() *cobra.Command {
	n := 0
	cmd := &cobra.Command{
		Use:     "watch NAME",
		Short:   "Print what a name stands for, and again whenever that changes, until interrupted",
		Example: "  cairn name watch k51...",
		Args:    exactly(1, "a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 0 {
				return usagef("--count %d: want 0 or more", n)
			}
			if !cmd.Flags().Changed("timeout") {
				p.timeout = 0 // a name may stand for the same for years
			}
			return p.talk(cmd.Context(), func(ctx context.Context, w *watch, c *client.Client) error {
				seen := 0
				for r, err := range c.WatchName(ctx, args[0]) {
					if err != nil {
						return err
					}
					w.moved()
					if p.json {
						writeJSON(p.out, api.NameLine{Type: api.LineName, Resolved: r})
					} else if _, err := fmt.Fprintf(p.out, "%s  %d  %s\n", time.Now().UTC().Format(time.RFC3339), r.Seq, printable(r.Path)); err != nil {
						return err
					}
					if seen++; seen == n {
						return nil
					}
				}
				return cause(ctx)
			})
		},
	}
	cmd.Flags().IntVar(&n, "count", 0, "end after this `number` of values; 0 is never")
	return cmd
}

func (p *program) nameImportCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "import-record NAME FILE",
		Short: "Take a record of a name that somebody else has signed, and spread it",
		Long: `Take a record of a name that somebody else has signed, as a gateway gives it with
?format=ipns-record, and spread it as if it had been published here. One that is not
good, or not better than what is known, is refused.`,
		Example: "  cairn name import-record k51... file.ipns-record",
		Args:    exactly(2, "a name, and a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := p.smallFile(args[1])
			if err != nil {
				return err
			}
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				done, err := c.ImportName(ctx, args[0], data)
				if err != nil {
					return err
				}
				return p.printPublished(done)
			})
		},
	}
}
