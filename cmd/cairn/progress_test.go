package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

func TestProgressInJSONIsTenLinesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := (&program{err: &out, progress: "json"}).meter()
		for i := range int64(1001) { // one second
			m.show("%d", i)
			m.track(statusLine{Verb: "put", Phase: "sending", Name: "x", Done: i, Total: 1000})
			time.Sleep(time.Millisecond)
		}
		m.track(copies("x", blocks.Progress{Blocks: 4, Safe: 1, Target: 5, Members: 3})) // another phase is told at once
		m.final("done")
		values := decode(t, out.Bytes())
		if n := len(values); n < 10 || n > 12 {
			t.Errorf("got %d lines of a second", n)
		}
		var mid, last statusLine
		lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
		if err := json.Unmarshal(lines[5], &mid); err != nil || mid.Type != "status" || mid.Phase != "sending" || mid.Percent != float64(mid.Done)/1000 || mid.Elapsed == 0 {
			t.Errorf("got %s, %v", lines[5], err)
		}
		if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || last.Phase != "replicating" || last.Percent != 0.25 || last.Target != 3 {
			t.Errorf("got %s, %v", lines[len(lines)-1], err)
		}
	})
}

// daemon runs a daemon that nobody can find, unless args say otherwise.
// end tells it to stop, and answers how it did and how long it took.
func (s shell) daemon(t *testing.T, args ...string) (end func() (took time.Duration, err error)) {
	t.Helper()
	c := s.command(append([]string{"daemon", "--json", "--network-profile", "testnet", "--api-listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"}, args...)...)
	out := &awaited{what: `"state":"alone"`, seen: make(chan struct{})}
	var said bytes.Buffer
	c.Stdout, c.Stderr = out, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }() // ends with the process
	select {
	case <-out.seen:
	case err := <-done:
		t.Fatalf("daemon: %v: %s", err, said.String())
	case <-time.After(30 * time.Second):
		t.Fatalf("daemon is not ready: %s", said.String())
	}
	ended := false
	end = func() (time.Duration, error) {
		ended = true
		began := time.Now()
		if err := c.Process.Signal(terminate); err != nil {
			return 0, err
		}
		err := <-done
		return time.Since(began), err
	}
	t.Cleanup(func() {
		if !ended {
			_ = c.Process.Kill() // the test has failed, or does not care
			<-done
		}
	})
	return end
}

// alone is a shell with a home of its own.
func alone(t *testing.T) shell {
	dir := t.TempDir()
	return shell{dir, append(private(dir), "CAIRN_HOME="+filepath.Join(dir, "home"))}
}

func TestSignalAsksHowFarAPutIs(t *testing.T) {
	if len(statusSignals) == 0 {
		t.Skip("SKIP: this system has no such signal")
	}
	s := alone(t)
	s.daemon(t)
	c := s.command("put", "--wait", "local", "-")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	if _, err := in.Write(make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	// What was written has left the pipe but for its last 64 KiB: it is being sent.
	if err := c.Process.Signal(statusSignals[0]); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, err := said.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "sending - ") || !strings.HasSuffix(string(line[:n]), " s\n") {
		t.Errorf("got %q, %v", line[:n], err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, said); err != nil {
		t.Error(err)
	}
	if err := c.Wait(); err != nil || !strings.HasPrefix(out.String(), "baf") {
		t.Errorf("it went on to %q, %v", out.String(), err)
	}
}

func TestProgressInJSONIsAllThatAPutAndAGetSay(t *testing.T) {
	s := alone(t)
	s.daemon(t)
	if err := os.WriteFile(filepath.Join(s.dir, "file"), make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	put := s.command("put", "--progress", "json", "--wait", "local", "file")
	var said bytes.Buffer
	put.Stderr = &said
	root, err := put.Output()
	if err != nil {
		t.Fatalf("put: %v: %s", err, said.String())
	}
	get := s.command("get", "--progress", "json", "-o", "copy", strings.TrimSpace(string(root)))
	get.Stderr = &said
	if err := get.Run(); err != nil {
		t.Fatalf("get: %v: %s", err, said.String())
	}
	seen := map[string]bool{}
	for _, v := range decode(t, said.Bytes()) {
		line := v.(map[string]any)
		if line["type"] != "status" {
			t.Errorf("got %v", line)
		}
		seen[line["verb"].(string)+" "+line["phase"].(string)] = true
	}
	for _, want := range []string{"put sending", "get looking", "get reading"} {
		if !seen[want] {
			t.Errorf("nothing of %s in %v", want, seen)
		}
	}
}
