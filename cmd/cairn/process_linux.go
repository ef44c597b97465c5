package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// startTime is when the process pid was started, in clock ticks since boot. A
// process that has ended and waits for its parent to look is no process.
func startTime(pid int) (uint64, error) {
	state, start, err := stat(pid)
	if err == nil && (state == 'Z' || state == 'X') {
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
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	i := bytes.LastIndexByte(data, ')') // the name before it may hold anything
	fields := bytes.Fields(data[i+1:])
	const at, from = 0, 19 // proc(5), counted from the state
	if i < 0 || len(fields) <= from {
		return 0, 0, fmt.Errorf("process %d: cannot read its stat", pid)
	}
	start, err = strconv.ParseUint(string(fields[from]), 10, 64)
	return fields[at][0], start, err
}
