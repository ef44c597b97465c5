package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cairn": func() { os.Exit(mainCode()) }})
}

// TestManual runs the scripts: each is a page of the manual with its claims.
func TestManual(t *testing.T) {
	// One picker for all that run at a time, below the ports of testnets: no two get the same.
	var mu sync.Mutex
	k := &picker{next: lowPort/2 + rand.IntN(lowPort/2-1000)}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"waitfor": waitFor,
			"take":    take,
			"address": address,
			"cancels": cancels,
			"spoil":   spoil,
			"scrape":  scrape,
		},
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"} {
				env.Setenv(name, filepath.Join(env.WorkDir, "xdg", name))
			}
			env.Setenv("CAIRN_TESTNET_DIR", filepath.Join(env.WorkDir, "testnets"))
			mu.Lock()
			defer mu.Unlock()
			for i := range 6 {
				port, err := k.pick()
				if err != nil {
					return err
				}
				env.Setenv(fmt.Sprintf("PORT%d", i), strconv.Itoa(port))
			}
			// A daemon that nobody can find: no other test's, and no real one's.
			env.Setenv("LONE", "--network-profile=testnet --listen=/ip4/127.0.0.1/tcp/0")
			return k.release()
		},
	})
}

// exits runs a command and checks its exit status: exits 12 cairn id.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits status command [argument...]")
	}
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// waitFor waits until a file is there: waitfor home/state/api.addr.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s did not appear", args[0])
}

// take listens on a TCP port until the script ends: take 20123.
func take(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", args[0]))
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
}

// address sets ADDRESS to the first one that a cairn id --json tells: address b.json.
func address(ts *testscript.TestScript, _ bool, args []string) {
	var id api.ID
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &id))
	if len(id.Addresses) == 0 {
		ts.Fatalf("%s: no address", args[0])
	}
	ts.Setenv("ADDRESS", id.Addresses[0])
}

// cancels runs a command that talks to a port that never answers, interrupts it
// when it has called, and checks its exit status: cancels 130 20123 cairn id …
func cancels(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: cancels status port command [argument...]")
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", args[1]))
	ts.Check(err)
	defer l.Close()
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	c := exec.Command(path, args[3:]...)
	c.Dir, c.Env = ts.MkAbs("."), append(os.Environ(), "HOME="+ts.Getenv("WORK"), "CAIRN_TESTNET_DIR="+ts.Getenv("CAIRN_TESTNET_DIR"))
	ts.Check(c.Start())
	conn, err := l.Accept() // so it is under way
	ts.Check(err)
	defer conn.Close()
	ts.Check(c.Process.Signal(os.Interrupt))
	_ = c.Wait() // the status is looked at
	if got := c.ProcessState.ExitCode(); strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// spoil changes a text wherever a file below a directory has it, as a bad disk
// would: spoil home/data 'hello world!'.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: spoil directory text")
	}
	spoilt := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if i := bytes.Index(data, []byte(args[1])); err == nil && i >= 0 {
			data[i] ^= 1
			spoilt++
			return os.WriteFile(path, data, 0o600)
		}
		return err
	}))
	if spoilt == 0 {
		ts.Fatalf("no file in %s has %q", args[0], args[1])
	}
}

// scrape writes what the daemon of a home serves at a path of its API to a file:
// scrape home /metrics metrics.txt.
func scrape(ts *testscript.TestScript, _ bool, args []string) {
	home := node.HomeAt(ts.MkAbs(args[0]))
	base, token := ts.ReadFile(home.APIAddrFile()), ts.ReadFile(home.TokenFile())
	req, err := http.NewRequest("GET", strings.TrimSpace(base)+args[1], nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("%s: status %d", args[1], res.StatusCode)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), body, 0o600))
}
