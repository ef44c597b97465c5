//go:build !windows

package main

import (
	"os"
	"syscall"
)

// statusSignals ask a put or a get how far it is.
var statusSignals = []os.Signal{syscall.SIGUSR1}
