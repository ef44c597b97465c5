package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cairn-network/cairn/node"
	"github.com/spf13/cobra"
)

func (p *program) bootstrapCmd() *cobra.Command {
	add := &cobra.Command{
		Use:   "add ADDRESS...",
		Short: "Add peers to meet first",
		Long: `Add peers to meet first to the configuration of a home.

ADDRESS is a multiaddress that ends in /p2p/ and the peer's id. A daemon that
runs connects to them at once.`,
		Example: "  cairn bootstrap add /ip4/192.0.2.7/tcp/4101/p2p/12D3KooW...",
		Args:    some("an address"),
		RunE:    func(cmd *cobra.Command, args []string) error { return p.bootstrapAdd(cmd, args) },
	}
	ls := &cobra.Command{
		Use: "ls", Short: "List the peers to meet first", Example: "  cairn bootstrap ls",
		Args: exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			home, err := p.ownHome()
			if err != nil {
				return err
			}
			cfg, err := node.LoadConfig(home.Config)
			if err != nil {
				return err
			}
			return p.list(cfg.Network.Bootstrap)
		},
	}
	rm := &cobra.Command{
		Use: "rm ADDRESS|ID...", Short: "Remove peers to meet first, by address or id",
		Example: "  cairn bootstrap rm 12D3KooW...",
		Args:    some("an address or an id"),
		RunE:    func(_ *cobra.Command, args []string) error { return p.bootstrapRemove(args) },
	}
	cmd := &cobra.Command{Use: "bootstrap", Short: "Keep the list of peers to meet first", RunE: group, Args: cobra.ArbitraryArgs}
	cmd.AddCommand(add, ls, rm)
	return cmd
}

// ownHome is the home whose configuration is meant, which must be there.
func (p *program) ownHome() (node.Home, error) {
	home, err := p.homeDirs()
	if err != nil {
		return home, err
	}
	if p.peer != "" {
		m, err := p.findPeer(p.peer)
		if err != nil {
			return home, err
		}
		home = node.HomeAt(m.Home)
	}
	return home, home.Check()
}

func (p *program) list(all []string) error {
	if p.json {
		writeJSON(p.out, append([]string{}, all...))
		return nil
	}
	for _, a := range all {
		fmt.Fprintln(p.out, a)
	}
	return nil
}

func (p *program) bootstrapAdd(cmd *cobra.Command, addrs []string) error {
	for _, a := range addrs {
		if _, err := node.ParseAddr(a); err != nil {
			return usagef("%s", err)
		}
	}
	home, err := p.ownHome()
	if err != nil {
		return err
	}
	var all []string
	err = node.EditBootstrap(home.Config, func(list []string) []string {
		for _, a := range addrs {
			if slices.Contains(list, a) {
				p.note("%s is there already", a)
			} else {
				list = append(list, a)
			}
		}
		all = list
		return list
	})
	if err != nil {
		return err
	}
	p.meet(cmd, home, addrs)
	return p.list(all)
}

// meet connects the daemon of home, if it runs, to addrs. It need not succeed:
// the daemon tries again by itself at its next start.
func (p *program) meet(cmd *cobra.Command, home node.Home, addrs []string) {
	base, err := readLine(home.APIAddrFile())
	if err != nil || !answers(base) {
		return // none runs
	}
	c, err := clientOf(home, base)
	if err != nil {
		p.note("cairn: not connected now: %s", err)
		return
	}
	defer c.Close()
	for _, a := range addrs {
		ctx, _, done := p.patience(cmd.Context())
		if _, err := c.Connect(ctx, a); err != nil {
			p.note("cairn: not connected now: %s", err)
		}
		done()
	}
}

func (p *program) bootstrapRemove(args []string) error {
	home, err := p.ownHome()
	if err != nil {
		return err
	}
	var all []string
	var unknown error
	err = node.EditBootstrap(home.Config, func(list []string) []string {
		before := slices.Clone(list)
		for _, a := range args {
			there := func(s string) bool { return s == a || strings.HasSuffix(s, "/p2p/"+a) }
			if !slices.ContainsFunc(before, there) {
				unknown = usagef("%s is not in the list: see cairn bootstrap ls", a)
				return before
			}
			list = slices.DeleteFunc(list, there)
		}
		all = list
		return list
	})
	if err != nil {
		return err
	}
	if unknown != nil {
		return unknown
	}
	return p.list(all)
}
