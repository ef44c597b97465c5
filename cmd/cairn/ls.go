package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) lsCmd() *cobra.Command {
	var long bool
	cmd := &cobra.Command{
		Use:   "ls PATH...",
		Short: "List directories of the network",
		Long: `List directories of the network, by name. A directory ends in /, and a name with
characters that cannot be seen is quoted. With --json there is an object a line, as the
entries are found.`,
		Example: "  cairn ls CID\n  cairn ls -l /ipfs/CID/photos",
		Args:    some("a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, w *watch, c *client.Client, path string) error {
				return p.ls(ctx, w, c, path, long)
			})
		},
	}
	cmd.Flags().BoolVarP(&long, "long", "l", false, "print size and CID too, and where symlinks lead")
	return cmd
}

// each calls f with one path after the other and a context that lives as long as
// something moves.
func (p *program) each(ctx context.Context, paths []string, f func(context.Context, *watch, *client.Client, string) error) error {
	c, err := p.client()
	if err != nil {
		return err
	}
	defer c.Close()
	for _, path := range paths {
		ctx, w, done := p.patience(ctx)
		err := f(ctx, w, c, path)
		done()
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *program) ls(ctx context.Context, w *watch, c *client.Client, path string, long bool) error {
	var all []blocks.Entry
	for e, err := range c.List(ctx, path) {
		if err != nil {
			return err
		}
		w.moved()
		if p.json {
			writeJSON(p.out, api.NewEntry(e))
		} else {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b blocks.Entry) int { return strings.Compare(a.Name, b.Name) })
	out := bufio.NewWriter(p.out) // there may be very many
	for _, e := range all {
		if !long {
			fmt.Fprintln(out, nameIn(e))
			continue
		}
		bytes := "-"
		if e.Size >= 0 && e.Kind != blocks.KindDir {
			bytes = strconv.FormatInt(e.Size, 10)
		}
		fmt.Fprintf(out, "%s  %12s  %s\n", e.CID, bytes, nameIn(e)+leads(e.Target))
	}
	return out.Flush()
}

// nameIn is the name of e as a listing shows it.
func nameIn(e blocks.Entry) string {
	switch e.Kind {
	case blocks.KindDir:
		return shown(e.Name) + "/"
	case blocks.KindUnknown:
		return shown(e.Name) + " (cannot be had now)"
	}
	return shown(e.Name)
}

func leads(target string) string {
	if target == "" {
		return ""
	}
	return " -> " + shown(target)
}

// shown is a stranger's name as it may stand on a terminal: quoted if anything in it
// cannot be seen for what it is.
func shown(name string) string {
	strange := func(r rune) bool { return !strconv.IsPrint(r) }
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, strange) || name[0] == '"' || strings.TrimSpace(name) != name {
		return strconv.Quote(name)
	}
	return name
}

func (p *program) statCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "stat PATH...",
		Short:   "Say what paths name: a file, a directory or a symlink, and how large",
		Example: "  cairn stat CID/photos/a.jpg",
		Args:    some("a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, _ *watch, c *client.Client, path string) error {
				s, err := c.Stat(ctx, path)
				if err != nil {
					return err
				}
				p.printStat(s)
				return nil
			})
		},
	}
}

func (p *program) printStat(s blocks.Stat) {
	if p.json {
		writeJSON(p.out, api.NewStat(s))
		return
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "cid\t%s\ntype\t%s\n", s.CID, string(s.Kind)+leads(s.Target))
	if s.Kind == blocks.KindFile && s.Size >= 0 {
		fmt.Fprintf(t, "size\t%d (%s)\n", s.Size, size(s.Size))
	}
	pinned := "no"
	if s.Pinned {
		pinned = "yes"
	}
	fmt.Fprintf(t, "blocks\t%s\npinned\t%s\n", size(s.Total), pinned)
	_ = t.Flush() // as every write to standard output
}
