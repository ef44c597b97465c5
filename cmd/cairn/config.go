package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/cairn-network/cairn/node"
	"github.com/google/renameio/v2/maybe"
	"github.com/spf13/cobra"
)

// setting is a key with --json.
type setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`          // default, file or environment
	Where  string `json:"where,omitempty"` // the file, or the variable
	Line   int    `json:"line,omitempty"`  // of the file
}

func (p *program) configCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show and change what the owner of a peer chose",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	var origin bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Print every key with the value that counts",
		Long: `Print every key with the value that counts: a flag of daemon over the environment
over the file over the default. With --origin also where it comes from.`,
		Example: `  cairn config show
  cairn config show --origin`,
		Args: exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error { return p.configShow(origin) },
	}
	show.Flags().BoolVar(&origin, "origin", false, "say where each value comes from: default, a line of the file, or a variable")
	cmd.AddCommand(show,
		&cobra.Command{
			Use: "get KEY", Short: "Print the value of one key, a list one a line",
			Example: "  cairn config get replica.r",
			Args:    exactly(1, "one key, such as replica.r"),
			RunE:    func(_ *cobra.Command, args []string) error { return p.configGet(args[0]) },
		},
		&cobra.Command{
			Use: "set KEY VALUE", Short: "Write one key to the file",
			Long: `Write one key to the file, and leave every other line of it, comments too, as it
is. A value that is not valid changes nothing. A daemon that runs reads it at its
next start.`,
			Example: "  cairn config set replica.r 7\n  cairn config set log.level info,dht=debug",
			Args:    exactly(2, "a key and a value"),
			RunE:    func(_ *cobra.Command, args []string) error { return p.configSet(args[0], args[1]) },
		},
		&cobra.Command{
			Use: "edit", Short: "Open the file in an editor, and take what is valid",
			Long: `Open a copy of the file in $VISUAL or $EDITOR. It takes the file's place when it is
valid; else it is kept beside it, and the file stays as it was.`,
			Example: "  cairn config edit\n  EDITOR=nano cairn config edit",
			Args:    exactly(0, "no argument"),
			RunE:    func(c *cobra.Command, _ []string) error { return p.configEdit(c.Context()) },
		})
	return cmd
}

// peerHome is the home of --peer, or the one that --home names, or the user's.
func (p *program) peerHome() (node.Home, error) {
	if p.peer == "" {
		return p.homeDirs()
	}
	m, err := p.findPeer(p.peer)
	if err != nil {
		return node.Home{}, err
	}
	return node.HomeAt(m.Home), nil
}

func (p *program) configShow(origin bool) error {
	home, err := p.peerHome()
	if err != nil {
		return err
	}
	all, err := node.Settings(home.Config)
	if err != nil {
		return err
	}
	if p.json {
		out := make([]setting, len(all))
		for i, s := range all {
			out[i] = setting{s.Key, s.Value, s.Origin, s.Where, s.Line}
		}
		writeJSON(p.out, out)
		return nil
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, s := range all {
		if origin {
			fmt.Fprintf(t, "%s\t= %s\t%s\n", s.Key, s.TOML, s)
		} else {
			fmt.Fprintf(t, "%s\t= %s\n", s.Key, s.TOML)
		}
	}
	return t.Flush()
}

func (p *program) configGet(key string) error {
	home, err := p.peerHome()
	if err != nil {
		return err
	}
	s, err := settingOf(home, key)
	if err != nil {
		return err
	}
	if p.json {
		writeJSON(p.out, setting{s.Key, s.Value, s.Origin, s.Where, s.Line})
		return nil
	}
	if list, ok := s.Value.([]string); ok {
		for _, v := range list {
			fmt.Fprintln(p.out, v)
		}
		return nil
	}
	fmt.Fprintln(p.out, s.Value)
	return nil
}

func (p *program) configSet(key, value string) error {
	home, err := p.peerHome()
	if err != nil {
		return err
	}
	data, err := configText(home.Config)
	if err != nil {
		return err
	}
	next, err := node.SetInFile(data, key, value)
	if ce, ok := errors.AsType[*node.ConfigError](err); ok && ce.Line > 0 {
		ce.File = home.Config
		return ce
	}
	if err == nil {
		err = writeConfig(home.Config, next)
	}
	if err != nil {
		return err
	}
	return p.configConfirm(home, key)
}

// configConfirm says what counts after a set: with --json as data, else in a note.
func (p *program) configConfirm(home node.Home, key string) error {
	s, err := settingOf(home, key)
	if err != nil {
		return err
	}
	if p.json {
		writeJSON(p.out, setting{s.Key, s.Value, s.Origin, s.Where, s.Line})
		return nil
	}
	if s.Origin == node.OriginEnvironment {
		p.note("cairn: %s is set in this environment and stands over the file", s.Where)
	}
	p.note("%s = %s  %s", s.Key, s.TOML, s)
	return nil
}

func settingOf(home node.Home, key string) (node.Setting, error) {
	all, err := node.Settings(home.Config)
	if err != nil {
		return node.Setting{}, err
	}
	if i := slices.IndexFunc(all, func(s node.Setting) bool { return s.Key == key }); i >= 0 {
		return all[i], nil
	}
	_, err = node.SetInFile(nil, key, "") // says which key was meant
	return node.Setting{}, err
}

// configText is what the file holds, or what a new one would.
func configText(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if ignoreMissing(err) != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err == nil {
		return data, nil
	}
	fresh, err := freePorts(node.DefaultConfig(), node.DefaultConfig())
	if err != nil {
		return nil, err
	}
	return node.NewConfigFile(fresh)
}

// writeConfig puts data where file is, at one stroke; a link stays a link.
func writeConfig(file string, data []byte) error {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := maybe.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

func (p *program) configEdit(ctx context.Context) error {
	home, err := p.peerHome()
	if err != nil {
		return err
	}
	before, err := configText(home.Config)
	if err != nil {
		return err
	}
	draft := home.Config + ".draft.toml"
	if err := writeConfig(draft, before); err != nil {
		return err
	}
	words := append(editor(), draft)
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Stdin, c.Stdout, c.Stderr = p.in, p.err, p.err
	if err := c.Run(); err != nil {
		return errors.Join(fmt.Errorf("config: %s: %w", words[0], err), os.Remove(draft))
	}
	after, err := os.ReadFile(draft)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := node.CheckConfigFile(after); err != nil {
		if ce, ok := errors.AsType[*node.ConfigError](err); ok {
			ce.File = draft // which is kept
		}
		return err
	}
	changed := string(after) != string(before)
	if changed {
		err = writeConfig(home.Config, after)
	}
	if err := errors.Join(err, os.Remove(draft)); err != nil {
		return err
	}
	if p.json {
		writeJSON(p.out, struct {
			File    string `json:"file"`
			Changed bool   `json:"changed"`
		}{home.Config, changed})
	} else if changed {
		p.note("%s is changed; a daemon that runs reads it at its next start", home.Config)
	} else {
		p.note("nothing is changed")
	}
	return nil
}

// editor is the user's, with its arguments.
func editor() []string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if words := strings.Fields(os.Getenv(name)); len(words) > 0 {
			return words
		}
	}
	if runtime.GOOS == "windows" {
		return []string{"notepad"}
	}
	return []string{"vi"}
}
