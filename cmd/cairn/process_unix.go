//go:build !windows

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// detach lets the process that c starts outlive this one and its terminal. What this one was
// handed beside the standard three is not handed on: the caller's lock or pipe would stay
// taken for as long as that process lives.
func detach(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return // a system without it hands on what it was handed
	}
	for _, f := range open {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

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
