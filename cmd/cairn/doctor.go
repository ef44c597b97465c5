package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// The outcomes of a check.
const (
	fine    = "ok"
	problem = "problem"
	skipped = "skipped" // it could not be checked, and says why
)

// finding is what one check found, and for a problem what to do about it.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, problem or skipped
	Text   string `json:"text"`
	Fix    string `json:"fix,omitempty"`
}

func well(format string, args ...any) []finding {
	return []finding{{Status: fine, Text: fmt.Sprintf(format, args...)}}
}

func ill(fix, format string, args ...any) []finding {
	return []finding{{Status: problem, Text: fmt.Sprintf(format, args...), Fix: fix}}
}

func unknown(format string, args ...any) []finding {
	return []finding{{Status: skipped, Text: fmt.Sprintf(format, args...)}}
}

// checks are all that doctor looks at. Each is a rule about facts, which examine
// has gathered; it looks at nothing itself.
var checks = []struct {
	name string
	of   func(facts) []finding
}{
	{"version", checkVersion},
	{"home", checkHome},
	{"permissions", checkPermissions},
	{"config", checkConfig},
	{"lock", checkLock},
	{"daemon", checkDaemon},
	{"ports", checkPorts},
	{"disk", checkDisk},
	{"clock", checkClock},
	{"peers", checkPeers},
	{"reachable", checkReachable},
	{"copies", checkCopies},
	{"bootstrap", checkBootstrap},
}

// diagnose applies the checks to f.
func diagnose(f facts) (all []finding) {
	for _, c := range checks {
		for _, found := range c.of(f) {
			found.Check = c.name
			all = append(all, found)
		}
	}
	return all
}

// sickError says that doctor found something.
type sickError struct{ problems int }

func (e *sickError) Error() string { return "doctor: " + count(e.problems, "problem") }

func (p *program) doctorCmd() *cobra.Command {
	var quick bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with a peer, and say what to do about it",
		Long: `Look for what is wrong with a peer, and say what to do about it: version, home and
its permissions, configuration, lock, ports, disk, clock, peers, whether strangers can
call it, copies of what was put, bootstrap. It works with a daemon that runs and with
none. It ends with 0 when all is fine, else with 1.

With --quick it asks one thing, as a container's health check does: whether the
daemon of this home answers.`,
		Example: `  cairn doctor
  cairn doctor --peer p3 --json
  cairn doctor --quick`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := p.peerHome()
			if err != nil {
				return err
			}
			if quick {
				return p.tell(p.pulse(cmd.Context(), home))
			}
			return p.tell(diagnose(p.examine(cmd.Context(), home)))
		},
	}
	cmd.Flags().BoolVar(&quick, "quick", false, "only ask whether the daemon answers")
	return cmd
}

// tell prints what was found; problems are the error.
func (p *program) tell(all []finding) error {
	problems := 0
	for _, f := range all {
		if f.Status == problem {
			problems++
		}
	}
	if p.json {
		writeJSON(p.out, struct {
			Fine     bool      `json:"fine"`
			Findings []finding `json:"findings"`
		}{problems == 0, all})
	} else {
		mark := map[string]string{fine: "✓", problem: "✗", skipped: "–"}
		for _, f := range all {
			fmt.Fprintf(p.out, "%s %-11s  %s\n", mark[f.Status], f.Check, printable(f.Text))
			if f.Fix != "" {
				fmt.Fprintf(p.out, "  %-11s  → %s\n", "", printable(f.Fix))
			}
		}
	}
	if problems > 0 {
		return &sickError{problems}
	}
	return nil
}
