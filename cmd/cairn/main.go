// Command cairn runs a peer, talks to one, and runs a whole network of them on
// one machine.
//
//	cairn daemon     node + web, until it is told to stop
//	cairn <verb>     the API of a running daemon, by web/api/client
//	cairn testnet    many daemons, each a process of its own
//
// One file a command. Data goes to stdout, progress and notes to stderr; exit.go
// is the only place where an error becomes an exit status. A verb keeps nothing
// and starts no goroutine that outlives it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(mainCode()) }

// mainCode runs the command line and answers the exit status.
func mainCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	return p.exit(p.root().ExecuteContext(ctx))
}
