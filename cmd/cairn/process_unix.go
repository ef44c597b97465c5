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

var _ os.Signal = terminate
