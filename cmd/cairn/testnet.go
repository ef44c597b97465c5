package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (p *program) testnetCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "testnet",
		Short:                      "Run a network of real daemons on this machine",
		SuggestionsMinimumDistance: 2,
		Args:                       cobra.ArbitraryArgs,
		RunE:                       group,
	}
	var name string
	cmd.PersistentFlags().StringVar(&name, "name", "default", "`name` of the testnet")
	cmd.PersistentFlags().StringVar(&p.testnets, "base-dir", "", "`directory` that holds the testnets (default: CAIRN_TESTNET_DIR, or the system's place for state)")
	// with gives a command its testnet; locked for those that change it.
	with := func(lock bool, f func(context.Context, *testnet, []string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			dir, err := p.testnetDir()
			if err != nil {
				return err
			}
			if lock {
				unlock, err := lockTestnet(cmd.Context(), dir, name)
				if err != nil {
					return err
				}
				defer unlock()
			}
			t, err := loadTestnet(dir, name)
			if err != nil {
				return err
			}
			return f(cmd.Context(), t, args)
		}
	}
	cmd.AddCommand(p.demoCmd(), p.upCmd(&name), p.downCmd(&name, with),
		&cobra.Command{
			Use: "status", Short: "List the peers of a testnet",
			Example: "  cairn testnet status --json",
			Args:    exactly(0, "no argument"), RunE: with(false, p.testnetStatus),
		},
		&cobra.Command{
			Use: "kill PEER...", Short: "Kill peers, as a power cut would",
			Example: "  cairn testnet kill p0 p3",
			Args:    some("a peer, such as p3"), RunE: with(true, p.testnetKill),
		},
		&cobra.Command{
			Use: "start PEER...", Short: "Start peers again that were killed, in the same homes; resume those paused",
			Example: "  cairn testnet start p3",
			Args:    some("a peer, such as p3"), RunE: with(true, p.testnetStart),
		},
		p.pauseCmd(with), p.resumeCmd(with), p.slowCmd(with), p.logsCmd(with))
	return cmd
}

// withTestnet is how a command gets its testnet.
type withTestnet func(lock bool, f func(context.Context, *testnet, []string) error) func(*cobra.Command, []string) error

func (p *program) downCmd(name *string, with withTestnet) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop all peers of a testnet",
		Example: `  cairn testnet down
  cairn testnet down --purge`,
		Args: exactly(0, "no argument"),
	}
	run := with(true, func(ctx context.Context, t *testnet, _ []string) error { return p.testnetDown(ctx, t, purge) })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if none := (*noTestnetError)(nil); errors.As(err, &none) {
			p.note("there is no testnet %s", *name)
			return nil
		}
		return err
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove its data as well")
	return cmd
}
