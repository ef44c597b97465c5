package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
)

// The exit statuses. Scripts may rely on them; one that is not here is a failure.
const (
	exitOK        = 0
	exitOther     = 1
	exitUsage     = 2   // the command line, a path or the configuration is wrong
	exitPartial   = 3   // some inputs failed, the others are done
	exitNotFound  = 4   // nobody has it
	exitTimeout   = 5   // not now; a later try may help
	exitShort     = 6   // kept, with fewer copies than were waited for
	exitHome      = 10  // the home is missing, or made by a newer cairn
	exitLocked    = 11  // another daemon has the home
	exitNoDaemon  = 12  // no daemon, or it refuses the token
	exitIntegrity = 13  // bytes did not match their CID
	exitCancelled = 130 // interrupted
)

// partialError says which inputs failed while others were done.
type partialError struct {
	failed []error
	of     int
}

func (e *partialError) Error() string {
	return fmt.Sprintf("%d of %d failed: %v", len(e.failed), e.of, errors.Join(e.failed...))
}

// status is the table from error to exit status, code in JSON, and hint. It is
// the only one.
func status(err error) (exit int, code, hint string) {
	var (
		usage       *usageError
		config      *node.ConfigError
		path        *blocks.PathError
		partial     *partialError
		left        *leftOutError
		short       *blocks.ShortError
		lacking     *lackingError
		unheard     *unheardError
		home        *node.HomeError
		newer       *blocks.NewerError
		locked      *blocks.LockedError
		none        *noDaemonError
		asleep      *peerDownError
		unreachable *client.UnreachableError
		said        *client.Error
	)
	if errors.As(err, &said) {
		hint = said.Hint
	}
	saidCode := func(codes ...string) bool {
		for _, c := range codes {
			if said != nil && said.Code == c {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return exitOK, "", ""
	case errors.As(err, &partial), errors.As(err, &left):
		return exitPartial, "partial", ""
	case errors.As(err, &usage), errors.As(err, &config), errors.As(err, &path), saidCode(api.CodeUsage):
		return exitUsage, "usage", hint
	case errors.As(err, &none), errors.As(err, &asleep):
		return exitNoDaemon, "no_daemon", ""
	case errors.As(err, &unreachable):
		return exitNoDaemon, "no_daemon", "start one with `cairn daemon`, or a network with `cairn testnet up`"
	case saidCode(api.CodeUnauthorized, api.CodeForbidden):
		return exitNoDaemon, said.Code, hint
	case errors.As(err, &home), errors.As(err, &newer):
		return exitHome, "home", ""
	case errors.As(err, &locked):
		return exitLocked, "locked", ""
	case errors.Is(err, blocks.ErrMismatch):
		return exitIntegrity, "integrity", hint
	case errors.As(err, &short), errors.As(err, &lacking), errors.As(err, &unheard), saidCode(api.CodeShort):
		return exitShort, "short", hint
	case blocks.IsNotFound(err):
		return exitNotFound, "not_found", hint
	case errors.Is(err, context.DeadlineExceeded), saidCode(api.CodeUnavailable):
		return exitTimeout, "timeout", hint
	case errors.Is(err, context.Canceled):
		return exitCancelled, "cancelled", ""
	case errors.Is(err, blocks.ErrFull):
		return exitOther, "full", hint
	}
	return exitOther, "other", hint
}

// errorLine is how an error ends a run with --json: the last line of stderr.
type errorLine struct {
	Type    string `json:"type"` // error
	Code    string `json:"code"`
	Exit    int    `json:"exit"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// exit tells the user of err, in one line, and answers the exit status.
func (p *program) exit(err error) int {
	exit, code, hint := status(err)
	if err == nil {
		return exit
	}
	message := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	said := "cairn: " + message
	if strings.HasPrefix(message, "cairn:") || strings.HasPrefix(message, "cairn ") {
		said = message // it names the command that was used wrongly
	}
	switch {
	case p.json, p.progress == "json":
		writeJSON(p.err, errorLine{"error", code, exit, message, hint})
	case exit == exitCancelled:
		fmt.Fprintln(p.err, "cairn: cancelled")
	case hint != "":
		fmt.Fprintf(p.err, "%s; %s\n", said, hint)
	default:
		fmt.Fprintln(p.err, said)
	}
	return exit
}
