package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/cairn-network/cairn/node"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"
)

func (p *program) initCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make the home of a peer, as the first run of daemon would",
		Long: `Make the home of a peer, as the first run of daemon would: identity, token and a
configuration with free ports. It is for scripts that want to change something
before; nobody needs it. A home that is there stays as it is.`,
		Example: `  cairn init
  cairn init --home ./peer && cairn config set --home ./peer replica.r 3`,
		Args: exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error { return p.init() },
	}
}

func (p *program) init() error {
	home, err := p.homeDirs()
	if err != nil {
		return err
	}
	there := home.Exists()
	if _, _, err := p.settle(daemonFlags{}); err != nil {
		return err
	}
	key, err := node.LoadIdentity(home.KeyFile())
	if err != nil {
		return err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	if there {
		p.note("the home is there already, and stays as it is: configuration %s, data %s, state %s", home.Config, home.Data, home.State)
	}
	if p.json {
		writeJSON(p.out, struct {
			ID     string `json:"id"`
			Made   bool   `json:"made"`
			Config string `json:"config"`
			Data   string `json:"data"`
			State  string `json:"state"`
		}{id.String(), !there, home.Config, home.Data, home.State})
		return nil
	}
	fmt.Fprintln(p.out, id)
	return nil
}

func (p *program) pathsCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "paths",
		Short:   "Say where everything of a peer is kept",
		Example: "  cairn paths\n  cairn paths --home ./peer --json",
		Args:    exactly(0, "no argument"),
		RunE:    func(*cobra.Command, []string) error { return p.paths() },
	}
}

func (p *program) paths() error {
	home, err := p.peerHome()
	if err != nil {
		return err
	}
	testnets, err := p.testnetDir()
	if err != nil {
		return err
	}
	all := []struct{ name, path string }{
		{"config", home.Config},
		{"data", home.Data},
		{"identity", home.KeyFile()},
		{"blocks", home.Blocks()},
		{"state", home.State},
		{"api_address", home.APIAddrFile()},
		{"api_token", home.TokenFile()},
		{"testnets", testnets},
	}
	if p.json {
		out := map[string]string{}
		for _, a := range all {
			out[a.name] = a.path
		}
		writeJSON(p.out, out)
		return nil
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, a := range all {
		fmt.Fprintf(t, "%s\t%s\n", a.name, a.path)
	}
	return t.Flush()
}
