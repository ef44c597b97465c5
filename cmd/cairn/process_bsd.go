//go:build !linux && !windows

package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// startTime is when the process pid was started, in seconds. A process that has
// ended and waits for its parent to look is no process.
func startTime(pid int) (uint64, error) {
	state, start, err := stat(pid)
	if err == nil && state == 'Z' {
		return 0, fmt.Errorf("process %d: has ended", pid)
	}
	return start, err
}

// paused reports whether the process is stopped by a signal.
func (p process) paused() bool {
	state, start, err := stat(p.PID)
	return err == nil && start == p.Start && state == 'T'
}

// stat is the state of the process pid, a letter, and when it was started.
func stat(pid int) (state byte, start uint64, err error) {
	c := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid))
	c.Env = []string{"LC_ALL=C", "TZ=UTC"}
	out, err := c.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("process %d: %w", pid, err)
	}
	letters, began, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !ok || letters == "" {
		return 0, 0, fmt.Errorf("process %d: has ended", pid)
	}
	t, err := time.Parse(time.ANSIC, strings.TrimSpace(began))
	if err != nil {
		return 0, 0, fmt.Errorf("process %d: %w", pid, err)
	}
	return letters[0], uint64(t.Unix()), nil
}
