package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
)

func (p *program) swarmCmd() *cobra.Command {
	peers := p.peersCmd()
	peers.Example = "  cairn swarm peers"
	connect := &cobra.Command{
		Use:   "connect ADDRESS",
		Short: "Connect a peer to another one, now",
		Long: `Connect a peer to another one, now.

ADDRESS is a multiaddress that ends in /p2p/ and the other's id, as its cairn id
shows it. To meet it at every start use cairn bootstrap add.`,
		Example: "  cairn swarm connect /ip4/192.0.2.7/tcp/4101/p2p/12D3KooW...",
		Args:    exactly(1, "an address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := node.ParseAddr(args[0]); err != nil {
				return usagef("%s", err)
			}
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				to, err := c.Connect(ctx, args[0])
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, to)
					return nil
				}
				fmt.Fprintf(p.out, "connected to %s\n", to.ID)
				return nil
			})
		},
	}
	cmd := &cobra.Command{Use: "swarm", Short: "See and make connections to other peers", RunE: group, Args: cobra.ArbitraryArgs}
	cmd.AddCommand(connect, peers)
	return cmd
}

// Connect dials the peer at addr.
func (f *face) Connect(ctx context.Context, addr string) (string, error) {
	id, err := f.n.Connect(ctx, addr)
	var bad *node.AddrError
	var gone *node.UnreachableError
	switch {
	case errors.As(err, &bad):
		return "", &api.BadAddressError{Err: bad}
	case errors.As(err, &gone):
		return "", &api.NoAnswerError{Err: gone}
	}
	return id.String(), err
}
