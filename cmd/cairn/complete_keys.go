package main

import (
	"context"

	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

// completeKeys knows the keys of the daemon, with their names beside them.
func (p *program) completeKeys(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && c.CommandPath() != "cairn name publish" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.withDaemon(c, func(ctx context.Context, d *client.Client) (out []string) {
		keys, err := d.Keys(ctx)
		if err != nil {
			return nil
		}
		for _, k := range keys {
			out = append(out, k.Key+"\t"+k.Name)
		}
		return beginning(begun, out)
	}), cobra.ShellCompDirectiveNoFileComp
}

// second completes the second argument, and no other.
func second(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(c, args, begun)
	}
}
