//go:build !windows

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// detach lets the process that c starts outlive this one and its terminal.
func detach(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// terminate is the signal that asks a daemon to stop.
const terminate = syscall.SIGTERM

// suspend is the signal that pauses a process, and resume the one that lets it go on.
const (
	canPause = true
	suspend  = syscall.SIGSTOP
	resume   = syscall.SIGCONT
)

var _ os.Signal = terminate
