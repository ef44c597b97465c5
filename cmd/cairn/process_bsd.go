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
	c := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid))
	c.Env = []string{"LC_ALL=C", "TZ=UTC"}
	out, err := c.Output()
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	stat, start, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !ok || strings.HasPrefix(stat, "Z") {
		return 0, fmt.Errorf("process %d: has ended", pid)
	}
	t, err := time.Parse(time.ANSIC, strings.TrimSpace(start))
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	return uint64(t.Unix()), nil
}
