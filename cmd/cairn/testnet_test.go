package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node"
)

func TestPortsAreFreeAndDifferent(t *testing.T) {
	k := newPicker(rand.New(rand.NewPCG(1, 2)))
	k.next = highPort - 5 // goes round
	var ports []int
	for range 60 {
		port, err := k.pick()
		if err != nil {
			t.Fatal(err)
		}
		if port < lowPort || port >= highPort || slices.Contains(ports, port) {
			t.Fatalf("got %d after %v", port, ports)
		}
		ports = append(ports, port)
		if l, err := net.Listen("tcp", local(port)); err == nil {
			_ = l.Close()
			t.Errorf("%d is not held", port)
		}
	}
	if err := k.release(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", local(ports[0]))
	if err != nil {
		t.Fatalf("%d was not released: %v", ports[0], err)
	}
	defer l.Close()
	if k.take(ports[0]) {
		t.Errorf("%d was taken twice", ports[0])
	}
}

func TestFirstRunTakesFreePorts(t *testing.T) {
	usual := node.DefaultConfig()
	_, port, _ := net.SplitHostPort(usual.API.Listen)
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err == nil {
		defer l.Close() // else somebody else has it, which will do
	}
	got, err := freePorts(usual, usual)
	if err != nil {
		t.Fatal(err)
	}
	if got.API.Listen == usual.API.Listen || got.Validate() != nil {
		t.Errorf("got %s, %v, which is taken", got.API.Listen, got.Validate())
	}
	asked := usual
	asked.API.Listen = "127.0.0.1:1"
	if got, err := freePorts(usual, asked); err != nil || got.API.Listen != usual.API.Listen {
		t.Errorf("got %s, %v, though a port was asked for", got.API.Listen, err)
	}
}

// A process id that the system has given again must never be hit.
func TestReusedProcessIsNotTouched(t *testing.T) {
	c := sleeper(t)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	id, err := identify(c.Process.Pid)
	if err != nil || !id.alive() {
		t.Fatalf("identify: %+v, %v", id, err)
	}
	stranger := process{id.PID, id.Start + 1}
	if stranger.alive() {
		t.Error("another process with this id counts as alive")
	}
	if err := (member{process: stranger}).kill(); err != nil || !id.alive() {
		t.Errorf("killed a stranger: %v", err)
	}
	if err := (member{process: process{}}).kill(); err != nil {
		t.Errorf("no process: %v", err)
	}
	if err := (member{process: id}).kill(); err != nil || id.alive() {
		t.Errorf("not killed: %v", err)
	}
}

// sleeper is a process that does nothing for a minute.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, "60")
}

func TestProcessThatEndedAndWaitsForItsParentIsGone(t *testing.T) {
	c := sleeper(t)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := identify(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.signal(os.Kill); err != nil { // nobody waits for it yet
		t.Fatal(err)
	}
	if !id.gone(t.Context(), 5*time.Second) {
		t.Error("still counted as alive")
	}
	_ = c.Wait() // it was killed
}

func TestTestnetIsKeptOnDisk(t *testing.T) {
	parent := t.TempDir()
	made, err := makeTestnet(filepath.Join(parent, "x"), "x", upFlags{n: 3, replicas: 2, noRepair: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := loadTestnet(parent, "x")
	if err != nil {
		t.Fatal(err)
	}
	if got.Network != made.Network || got.Replicas != 2 || got.Repair || !slices.Equal(got.Peers, made.Peers) {
		t.Errorf("got %+v\nwant %+v", got, made)
	}
	for i, m := range got.Peers {
		cfg, err := node.LoadConfig(node.HomeAt(m.Home).Config)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Network.Profile != node.ProfileTestnet || cfg.Network.Name != made.Network || cfg.Replica.R != 2 || cfg.Replica.Repair || len(cfg.Network.Bootstrap) != 2 {
			t.Errorf("p%d: %+v", i, cfg)
		}
		if slices.Contains(cfg.Network.Bootstrap, m.Addr) {
			t.Errorf("p%d is told of itself", i)
		}
		if err := node.HomeAt(m.Home).Check(); err != nil {
			t.Error(err)
		}
	}
	if _, err := makeTestnet(filepath.Join(parent, "x"), "x", upFlags{n: 3, replicas: 2}); err == nil {
		t.Error("made over what is there")
	}
	if again, err := loadTestnet(parent, "x"); err != nil || again.Network != made.Network {
		t.Errorf("what was there is harmed: %v", err)
	}
}

func TestLargeTestnetIsMetAllRound(t *testing.T) {
	for _, n := range []int{1, 2, 20, 33, 34, 100, 200} {
		net := testnet{Peers: make([]member, n)}
		for i := range net.Peers {
			net.Peers[i].Addr = string(rune('A' + i))
		}
		told := map[string]int{}
		for i := range n {
			boot := net.boot(i)
			if want := min(n-1, maxBoot/2); len(boot) < want || len(boot) > maxBoot || len(slices.Compact(boot)) != len(boot) {
				t.Errorf("n %d: p%d is told of %d, want %d to %d different ones", n, i, len(boot), want, maxBoot)
			}
			for _, a := range boot {
				told[a]++
			}
			if slices.Contains(boot, net.Peers[i].Addr) {
				t.Errorf("n %d: p%d is told of itself", n, i)
			}
		}
		if n > 1 && len(told) != n {
			t.Errorf("n %d: only %d are told of", n, len(told))
		}
	}
}

func TestTestnetComesBackAsItWas(t *testing.T) {
	down := testnet{Name: "x", Down: true, Replicas: 5, Repair: true, Peers: make([]member, 3)}
	crashed := down
	crashed.Down = false
	for _, c := range []struct {
		t    testnet
		o    upFlags
		want string
	}{
		{down, upFlags{n: 3, replicas: 5}, ""},
		{down, upFlags{n: 4, replicas: 5}, "has the data of 3 peers"},
		{down, upFlags{n: 3, replicas: 4}, "has the data of 3 peers"},
		{down, upFlags{n: 3, replicas: 5, noRepair: true}, "has the data of 3 peers"},
		{crashed, upFlags{n: 3, replicas: 5}, "was not taken down"},
	} {
		err := comesBack(&c.t, c.o)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.o, err, c.want)
		}
	}
}

func TestTestnetIsChangedByOneCommandAtATime(t *testing.T) {
	parent := t.TempDir()
	unlock, err := lockTestnet(t.Context(), parent, "x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := lockTestnet(ctx, parent, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want to wait", err)
	}
	unlock()
	unlock, err = lockTestnet(t.Context(), parent, "x")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestBadTestnetNamesAreRefused(t *testing.T) {
	for _, name := range []string{"", "..", "a/b", "A", "-x", strings.Repeat("x", 32)} {
		if _, err := loadTestnet(t.TempDir(), name); err == nil || !strings.Contains(err.Error(), "want up to 31") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}
