package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func leaves(c *cobra.Command) (all []*cobra.Command) {
	for _, sub := range c.Commands() {
		all = append(all, leaves(sub)...)
	}
	if len(c.Commands()) == 0 {
		all = append(all, c)
	}
	return all
}

func TestEveryCommandIsExplained(t *testing.T) {
	p := &program{}
	for _, c := range leaves(p.root()) {
		if c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no description, or no example of itself", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s is not explained", c.CommandPath(), f.Name)
			}
		})
		if c.Root().PersistentFlags().Lookup("json") == nil {
			t.Errorf("%s has no --json", c.CommandPath())
		}
	}
}

func TestFlagsStandOverTheEnvironment(t *testing.T) {
	t.Setenv("CAIRN_PROGRESS", "plain")
	t.Setenv("CAIRN_JSON", "true")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"version"}, "plain"},
		{[]string{"version", "--progress", "none"}, "none"},
	} {
		var out bytes.Buffer
		p := &program{out: &out, err: &out}
		root := p.root()
		root.SetArgs(c.args)
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p.progress != c.want || !p.json || !strings.HasPrefix(out.String(), "{") {
			t.Errorf("%q: got progress %q, json %t, %q", c.args, p.progress, p.json, out.String())
		}
	}
}
