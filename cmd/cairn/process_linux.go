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
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	i := bytes.LastIndexByte(data, ')') // the name before it may hold anything
	fields := bytes.Fields(data[i+1:])
	const state, start = 0, 19 // proc(5), counted from the state
	if i < 0 || len(fields) <= start {
		return 0, fmt.Errorf("process %d: cannot read its stat", pid)
	}
	if s := fields[state][0]; s == 'Z' || s == 'X' {
		return 0, fmt.Errorf("process %d: has ended", pid)
	}
	return strconv.ParseUint(string(fields[start]), 10, 64)
}
