package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// detach lets the process that c starts outlive this one and its console.
func detach(c *exec.Cmd) {
	const detached = 0x00000008 // DETACHED_PROCESS
	c.SysProcAttr = &syscall.SysProcAttr{CreationFlags: detached | syscall.CREATE_NEW_PROCESS_GROUP}
}

// terminate ends a daemon at once: there is no signal to ask with.
var terminate = os.Kill

// canPause says that there are no signals that pause a process and let it go on.
const canPause = false

var suspend, resume = os.Interrupt, os.Interrupt // never sent

// paused is never so.
func (p process) paused() bool { return false }

// startTime is when the process pid was started, in 100 ns since 1601.
func startTime(pid int) (uint64, error) {
	const query = 0x1000 // PROCESS_QUERY_LIMITED_INFORMATION
	h, err := syscall.OpenProcess(query, false, uint32(pid))
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	defer syscall.CloseHandle(h)
	var code uint32
	const stillActive = 259
	if err := syscall.GetExitCodeProcess(h, &code); err != nil || code != stillActive {
		return 0, fmt.Errorf("process %d: has ended", pid)
	}
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	return uint64(created.HighDateTime)<<32 | uint64(created.LowDateTime), nil
}

// owned is not asked: whoever may write to a directory is a friend there.
func owned(fs.FileInfo) bool { return true }

// lockFile does nothing: a lock would keep this process out too.
func lockFile(*os.File) bool { return true }
