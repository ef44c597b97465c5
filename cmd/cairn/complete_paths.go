package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

// A shell waits for the answer, with somebody before it: the daemon of this machine has
// this long, and a directory is completed to so many names.
const (
	completeTime = time.Second
	completeMost = 256
)

// withDaemon calls f with the daemon that c would talk to, if there is one. Nothing is said
// on the way: the terminal is being typed on.
func (p *program) withDaemon(c *cobra.Command, f func(context.Context, *client.Client) []string) []string {
	quiet := *p
	quiet.err = io.Discard
	if quiet.prepare(c) != nil {
		return nil
	}
	daemon, err := quiet.client()
	if err != nil {
		return nil
	}
	defer daemon.Close()
	ctx, cancel := context.WithTimeout(c.Context(), completeTime)
	defer cancel()
	return f(ctx, daemon)
}

// completePaths knows what is pinned at the daemon, by CID with its name beside it, and
// below a CID what is in the directory. most is how many paths the command takes; 0 is any
// number.
func (p *program) completePaths(most int) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		dir, name, below := cutLast(begun)
		if below && dir != "" && dir != "/ipfs" {
			return p.withDaemon(c, func(ctx context.Context, d *client.Client) []string { return entriesOf(ctx, d, dir, name) }),
				cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		roots := p.withDaemon(c, func(ctx context.Context, d *client.Client) []string {
			return rootsOf(ctx, d, strings.TrimSuffix(begun, name))
		})
		roots = slices.DeleteFunc(roots, func(root string) bool {
			cid, _, _ := strings.Cut(root, "\t")
			return slices.Contains(args, cid)
		})
		return beginning(begun, roots), cobra.ShellCompDirectiveNoFileComp
	}
}

// cutLast divides a path before its last slash.
func cutLast(path string) (dir, name string, found bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// rootsOf are the pins of d, the latest first, each after a prefix.
func rootsOf(ctx context.Context, d *client.Client, prefix string) (out []string) {
	pins, err := d.Pins(ctx)
	if err != nil {
		return nil
	}
	slices.SortStableFunc(pins, func(a, b blocks.Pin) int { return b.Time.Compare(a.Time) })
	for _, pin := range pins {
		about := size(pin.Size)
		if pin.Name != "" {
			about = shown(pin.Name) + ", " + about
		}
		out = append(out, prefix+pin.Root.String()+"\t"+about)
	}
	return out
}

// entriesOf are the entries of a directory whose names begin with begun. A name that a
// shell or a terminal could take for something else is left out.
func entriesOf(ctx context.Context, d *client.Client, dir, begun string) (out []string) {
	for e, err := range d.List(ctx, dir) {
		if err != nil || len(out) == completeMost {
			break
		}
		if !strings.HasPrefix(e.Name, begun) || shown(e.Name) != e.Name || strings.ContainsAny(e.Name, "?#") {
			continue
		}
		word := dir + "/" + e.Name
		if e.Kind == blocks.KindDir {
			word += "/"
		}
		if e.Kind == blocks.KindFile && e.Size >= 0 {
			word += "\t" + size(e.Size)
		}
		out = append(out, word)
	}
	return out
}

// completeAddresses knows where the live peers of every testnet are.
func (p *program) completeAddresses(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var all []string
	for _, t := range p.allTestnets() {
		for _, m := range t.live() {
			if !slices.Contains(args, m.Addr) {
				all = append(all, m.Addr+"\t"+m.Name+"@"+t.Name)
			}
		}
	}
	return beginning(begun, all), cobra.ShellCompDirectiveNoFileComp
}

// completeBootstrap knows the bootstrap peers of the home.
func (p *program) completeBootstrap(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	if p.prepare(c) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	home, err := p.peerHome()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cfg, err := node.LoadConfig(home.Config)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return beginning(begun, cfg.Network.Bootstrap), cobra.ShellCompDirectiveNoFileComp
}
