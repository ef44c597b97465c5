package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cairn-network/cairn/node"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// program is one run of the command line: its streams and its global flags.
type program struct {
	in       io.Reader
	out, err io.Writer

	home     string
	api      string
	peer     string
	json     bool
	timeout  time.Duration
	progress string

	testnets string // where they are; "" is CAIRN_TESTNET_DIR, or the system's place for state
}

// progressModes are what --progress may be.
var progressModes = []string{"auto", "plain", "json", "none"}

// usageError says that the command line is wrong.
type usageError struct{ reason string }

func (e *usageError) Error() string { return e.reason }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cairn",
		Short: "A network that keeps files: put one, and it outlives the peer that put it",
		Long: `A network that keeps files: put one, and it outlives the peer that put it.

Data goes to standard output, progress and notes to standard error. Every flag may
come from the environment as CAIRN_FLAG. With --json every command prints JSON, and
an error is the last line of standard error, as an object.

Exit status: 0 done; 1 failed; 2 usage or configuration; 3 some inputs failed, the
others are done; 4 nobody has it; 5 not now, a later try may help; 6 kept, with fewer
copies than were waited for; 10 the home is missing or of a newer cairn; 11 another
daemon has the home; 12 no daemon, or it refuses the token; 13 bytes did not match
their CID; 130 interrupted. Any other is a failure.`,
		Example: `  cairn testnet up
  cairn put --peer p0 README.md
  cairn testnet kill p0
  cairn cat --peer p5 CID`,
		SilenceUsage:               true,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		Args:                       cobra.ArbitraryArgs,
		RunE:                       group,
		PersistentPreRunE:          func(c *cobra.Command, _ []string) error { return p.prepare(c) },
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%s: %s; see %[1]s --help", c.CommandPath(), err)
	})
	f := root.PersistentFlags()
	f.StringVar(&p.home, "home", "", "`directory` that holds everything of a peer (default: the system's places)")
	f.StringVar(&p.api, "api", "", "`URL` of the daemon's API; CAIRN_TOKEN is its token")
	f.StringVar(&p.peer, "peer", "", "talk to `NAME[@testnet]`, a peer of a local testnet")
	f.BoolVar(&p.json, "json", false, "print JSON")
	f.DurationVar(&p.timeout, "timeout", time.Minute, "give up after this `time` without progress; 0 is never")
	f.StringVar(&p.progress, "progress", "auto", "auto, plain, json or none: how progress is shown on stderr")
	root.AddCommand(p.daemonCmd(), p.putCmd(), p.getCmd(), p.catCmd(), p.healthCmd(), p.whereCmd(), p.whyCmd(), p.repairCmd(), p.peersCmd(),
		p.swarmCmd(), p.bootstrapCmd(), p.idCmd(), p.updatesCmd(), p.uiCmd(), p.versionCmd(), p.testnetCmd())
	root.AddCommand(p.initCmd(), p.configCmd(), p.pathsCmd(), p.doctorCmd(), p.completionCmd())
	root.AddCommand(p.lsCmd(), p.statCmd(), p.rmCmd(), p.pinCmd(), p.leaseCmd(), p.withdrawCmd(), p.repoCmd(), p.benchCmd(), p.jobsCmd())
	root.AddCommand(p.dagCmd(), p.blockCmd(), p.cidCmd())
	root.AddCommand(p.keyCmd(), p.nameCmd())
	root.SetHelpCommand(helpCmd(root))
	if err := p.complete(root); err != nil {
		panic("cairn: " + err.Error()) // two completions of one flag
	}
	return root
}

// helpCmd is cobra's, but for a command that does not exist, which is an error.
func helpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil {
				return usagef("%s", err)
			}
			if len(rest) > 0 {
				return group(c, rest)
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []cobra.Completion
			for _, sub := range c.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// group runs a command that only has subcommands.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	reason := fmt.Sprintf("%s: unknown command %q", c.CommandPath(), args[0])
	c.SuggestionsMinimumDistance = min(2, max(1, len(args[0])/2)) // two letters off a word of two is any word
	near := c.SuggestionsFor(args[0])
	for _, sub := range c.Commands() {
		for _, alias := range sub.Aliases {
			if strings.HasPrefix(alias, args[0]) {
				near = append(near, alias)
			}
		}
	}
	if len(near) > 0 {
		reason += "; did you mean " + strings.Join(near, " or ") + "?"
	} else {
		reason += "; see " + c.CommandPath() + " --help"
	}
	return &usageError{reason}
}

// prepare gives each flag that was not given the value of CAIRN_<FLAG>, if any.
func (p *program) prepare(c *cobra.Command) (err error) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		name := "CAIRN_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if err != nil || !ok || f.Changed || f.Name == "help" {
			return
		}
		if e := c.Flags().Set(f.Name, value); e != nil {
			err = usagef("%s: %s", name, e)
		}
	})
	if err != nil {
		return err
	}
	if !slices.Contains(progressModes, p.progress) {
		return usagef("--progress %s: want one of %s", p.progress, strings.Join(progressModes, ", "))
	}
	if p.timeout < 0 {
		return usagef("--timeout %s: want 0 or more", p.timeout)
	}
	return nil
}

// homeDirs is the home that --home names, or the user's.
func (p *program) homeDirs() (node.Home, error) {
	if p.home == "" {
		return node.DefaultHome()
	}
	dir, err := filepath.Abs(p.home)
	if err != nil {
		return node.Home{}, fmt.Errorf("home: %w", err)
	}
	return node.HomeAt(dir), nil
}

// exactly wants n arguments, which are named in what.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s: want %s, got %d arguments", c.CommandPath(), what, len(args))
		}
		return nil
	}
}

// some wants at least one argument.
func some(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s: want %s", c.CommandPath(), what)
		}
		return nil
	}
}
