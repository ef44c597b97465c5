//go:build !windows

package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDaemonTellsSystemd(t *testing.T) {
	s := alone(t)
	socket := filepath.Join(s.dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 100)
	go func() { // ends when l is closed
		b := make([]byte, 100)
		for {
			n, err := l.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
		}
	}()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("heard %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("heard nothing, want %q", want)
		}
	}
	s.env = append(s.env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=3000000")
	end := s.daemon(t)
	next("READY=1")
	next("WATCHDOG=1")
	if _, err := end(); err != nil {
		t.Fatal(err)
	}
	for got := "WATCHDOG=1"; got == "WATCHDOG=1"; { // one more may have been on its way
		select {
		case got = <-heard:
		case <-time.After(20 * time.Second):
			t.Fatal("did not hear that it stops")
		}
		if got != "WATCHDOG=1" && got != "STOPPING=1" {
			t.Errorf("heard %q", got)
		}
	}
}

// The unit takes from the daemon all that it does not need. docs/faults.md has why.
func TestUnitIsHardened(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "systemd", "cairn.service"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, want := range []string{
		"Type=notify", "WatchdogSec=60", "Restart=on-failure", "RestartSec=5", "StartLimitIntervalSec=300", "StartLimitBurst=5",
		"TimeoutStopSec=30", "LimitNOFILE=65536", "TasksMax=4096", "StateDirectory=cairn", "StateDirectoryMode=0700", "UMask=0077",
		"NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes",
		"PrivateIPC=yes", "ProtectProc=invisible", "ProcSubset=pid", "ProtectKernelTunables=yes", "ProtectKernelModules=yes",
		"ProtectKernelLogs=yes", "ProtectControlGroups=yes", "ProtectClock=yes", "ProtectHostname=yes", "RestrictNamespaces=yes",
		"RestrictRealtime=yes", "RestrictSUIDSGID=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
		"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK", "SystemCallArchitectures=native",
		"SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources", "SystemCallErrorNumber=EPERM",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("the unit has no %s", want)
		}
	}
}

func TestImageRunsAsNobodyAndAsksTheDoctor(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, last, ok := strings.Cut(string(text), "\nFROM scratch\n")
	if !ok {
		t.Fatal("the image is not made from nothing")
	}
	if user := regexp.MustCompile(`(?m)^USER (\d+):\d+$`).FindStringSubmatch(last); user == nil || user[1] == "0" {
		t.Errorf("it runs as %q", user)
	}
	health := regexp.MustCompile(`(?m)^HEALTHCHECK .*CMD \["/cairn", "(\w+)", "--(\w+)"\]$`).FindStringSubmatch(last)
	if health == nil {
		t.Fatal("its health is not asked without a shell, which it has not")
	}
	c, _, err := (&program{}).root().Find(health[1:2])
	if err != nil || c.Flags().Lookup(health[2]) == nil {
		t.Errorf("it asks for %q, %v", health[1:], err)
	}
}
