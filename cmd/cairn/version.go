package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/cairn-network/cairn/node"
	"github.com/spf13/cobra"
)

func (p *program) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Example: "  cairn version --json",
		Args:    exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Commit  string `json:"commit,omitempty"`
				Go      string `json:"go"`
				System  string `json:"system"`
			}{node.Version, commit(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if p.json {
				writeJSON(p.out, v)
				return nil
			}
			if v.Commit != "" {
				v.Version += " (" + v.Commit + ")"
			}
			_, err := fmt.Fprintf(p.out, "cairn %s %s %s\n", v.Version, v.Go, v.System)
			return err
		},
	}
}

// commit is what this binary was built from, if that is known.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return ""
}
