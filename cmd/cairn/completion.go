package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/cairn-network/cairn/node"
	"github.com/spf13/cobra"
)

// shells are those that are helped to complete, each with its script's maker.
var shells = map[string]func(root *cobra.Command, w io.Writer) error{
	"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
	"zsh":        (*cobra.Command).GenZshCompletion,
	"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	"powershell": (*cobra.Command).GenPowerShellCompletionWithDesc,
}

func (p *program) completionCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion",
		Short: "Print a script that completes this program's commands in a shell",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	for _, sub := range []struct{ shell, example string }{
		{"bash", "  cairn completion bash > ~/.local/share/bash-completion/completions/cairn\n  source <(cairn completion bash)"},
		{"zsh", "  cairn completion zsh > \"${fpath[1]}/_cairn\""},
		{"fish", "  cairn completion fish > ~/.config/fish/completions/cairn.fish"},
		{"powershell", "  cairn completion powershell | Out-String | Invoke-Expression"},
	} {
		cmd.AddCommand(&cobra.Command{
			Use:     sub.shell,
			Short:   "Print the script for " + sub.shell,
			Example: sub.example,
			Args:    exactly(0, "no argument"),
			RunE:    func(c *cobra.Command, _ []string) error { return p.completion(c.Root(), sub.shell) },
		})
	}
	return cmd
}

func (p *program) completion(root *cobra.Command, shell string) error {
	var script bytes.Buffer
	if err := shells[shell](root, &script); err != nil {
		return fmt.Errorf("completion: %w", err)
	}
	if p.json {
		writeJSON(p.out, struct {
			Shell  string `json:"shell"`
			Script string `json:"script"`
		}{shell, script.String()})
		return nil
	}
	_, err := p.out.Write(script.Bytes())
	return err
}

// complete teaches root what arguments and flags may be. It asks the disk and, for what
// is pinned, the daemon of this machine for a moment: a shell that waits for a network
// is worse than one that knows less.
func (p *program) complete(root *cobra.Command) error {
	flags := map[string]cobra.CompletionFunc{
		"peer":            p.completePeers,
		"name":            p.completeTestnets,
		"progress":        words(progressModes...),
		"wait":            words("local", "quorum", "full"),
		"network-profile": words(node.ProfilePublic, node.ProfileLAN, node.ProfilePrivate, node.ProfileTestnet),
		"profile":         words("unixfs-v1-2025", "unixfs-v0-2015"),
		"cid-version":     words("0", "1"),
		"codec":           words("raw", "dag-pb", "dag-cbor", "dag-json", "cbor", "json"),
		"mhtype":          words("sha2-256", "sha2-512", "blake3", "blake2b-256"),
		"log-level":       words("debug", "info", "warn", "error"),
		"key":             p.completeKeys,
		"type":            words("ed25519"),
	}
	args := map[string]cobra.CompletionFunc{
		"cairn testnet kill":       p.completeMembers(func(m member) bool { return m.alive() }),
		"cairn testnet start":      p.completeMembers(func(m member) bool { return !m.alive() }),
		"cairn testnet logs":       p.completeMembers(func(member) bool { return true }),
		"cairn config get":         words(node.ConfigKeys()...),
		"cairn config set":         words(node.ConfigKeys()...),
		"cairn put":                anyFile,
		"cairn get":                p.completePaths(1),
		"cairn cat":                p.completePaths(0),
		"cairn health":             p.completePaths(1),
		"cairn where":              p.completePaths(1),
		"cairn why":                p.completePaths(1),
		"cairn repair":             p.completePaths(1),
		"cairn withdraw":           p.completePaths(0),
		"cairn lease renew":        p.completePaths(0),
		"cairn ls":                 p.completePaths(0),
		"cairn stat":               p.completePaths(0),
		"cairn rm":                 p.completePaths(0),
		"cairn pin add":            p.completePaths(0),
		"cairn pin rm":             p.completePaths(0),
		"cairn dag import":         anyFile,
		"cairn dag export":         p.completePaths(1),
		"cairn dag stat":           p.completePaths(0),
		"cairn block get":          p.completePaths(1),
		"cairn block put":          anyFile,
		"cairn block stat":         p.completePaths(0),
		"cairn swarm connect":      p.completeAddresses,
		"cairn bootstrap add":      p.completeAddresses,
		"cairn bootstrap rm":       p.completeBootstrap,
		"cairn key export":         p.completeKeys,
		"cairn key rm":             p.completeKeys,
		"cairn name publish":       p.completePaths(1),
		"cairn name resolve":       p.completeKeys,
		"cairn name watch":         p.completeKeys,
		"cairn key import":         second(anyFile),
		"cairn name import-record": second(anyFile),
	}
	for _, c := range commands(root) {
		if c.ValidArgsFunction = args[c.CommandPath()]; c.ValidArgsFunction == nil {
			c.ValidArgsFunction = words() // a CID is not the name of a file here
		}
		for name, f := range flags {
			if !defines(c, name) || name == "name" && c.Name() != "testnet" { // put's is what to call a file
				continue
			}
			if err := c.RegisterFlagCompletionFunc(name, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// defines reports whether the flag is c's own, and not one that c inherits.
func defines(c *cobra.Command, flag string) bool {
	return c.PersistentFlags().Lookup(flag) != nil || c.LocalNonPersistentFlags().Lookup(flag) != nil
}

// commands are c and all below it.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

func anyFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// words completes the first argument, or a flag, to one of a few words.
func words(all ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return beginning(begun, all), cobra.ShellCompDirectiveNoFileComp
	}
}

func beginning(begun string, all []string) (out []string) {
	for _, w := range all {
		if strings.HasPrefix(w, begun) {
			out = append(out, w)
		}
	}
	return out
}

// completePeers knows the live peers of every testnet. Those of the one that a
// plain name means come without it.
func (p *program) completePeers(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	var names []string
	only, _, one := p.onlyTestnet()
	for _, t := range p.allTestnets() {
		for _, m := range t.live() {
			name := m.Name
			if t.Name != "default" && (!one || only.Name != t.Name) {
				name += "@" + t.Name
			}
			names = append(names, name+"\t"+m.ID)
		}
	}
	return beginning(begun, names), cobra.ShellCompDirectiveNoFileComp
}

func (p *program) completeTestnets(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, t := range p.allTestnets() {
		names = append(names, t.Name)
	}
	return beginning(begun, names), cobra.ShellCompDirectiveNoFileComp
}

// completeMembers knows the peers of the testnet that --name says, each once.
func (p *program) completeMembers(which func(member) bool) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		parent, err := p.testnetDir()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		t, err := loadTestnet(parent, c.Flag("name").Value.String())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		said := map[string]bool{}
		for _, a := range args {
			said[a] = true
		}
		var names []string
		for _, m := range t.Peers {
			if !said[m.Name] && which(m) {
				names = append(names, m.Name)
			}
		}
		return beginning(begun, names), cobra.ShellCompDirectiveNoFileComp
	}
}
