//go:build !windows

package main

import (
	"io/fs"
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

// owned reports whether a file is this user's.
func owned(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// lockFile takes f for this process as long as it is open; false: another has it.
func lockFile(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
