package main

import (
	"bytes"
	"strings"
	"testing"
)

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
