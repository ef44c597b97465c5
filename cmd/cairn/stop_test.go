package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A daemon that is told to stop in the middle of a put and of a get ends within
// 10 s and with status 0, and what a put has returned is there when it is back. The
// put and the get fail, and say so.
func TestDaemonStopsUnderLoad(t *testing.T) {
	s := alone(t)
	end := s.daemon(t)
	data := make([]byte, 48<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	if err := os.WriteFile(filepath.Join(s.dir, "big"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	kept := map[string][32]byte{}
	keep := func(name string, b []byte) string {
		t.Helper()
		c := s.command("put", "-q", "--wait", "local", "-")
		c.Stdin = bytes.NewReader(b)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("put %s: %v", name, err)
		}
		root := strings.TrimSpace(string(out))
		kept[root] = sha256.Sum256(b)
		return root
	}
	big := keep("big", data)
	for i := range 20 {
		keep(fmt.Sprint(i), data[i*1000:i*1000+100_000])
	}

	put := s.command("put", "--wait", "local", "-")
	in, err := put.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	get := s.command("cat", big)
	out, err := get.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var putSaid, getSaid bytes.Buffer
	put.Stderr, get.Stderr = &putSaid, &getSaid
	for _, c := range []interface{ Start() error }{put, get} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	defer put.Process.Kill()
	defer get.Process.Kill()
	if _, err := in.Write(data[:20<<20]); err != nil { // it is in the middle of it
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1<<20)); err != nil { // and nobody reads on
		t.Fatal(err)
	}

	took, err := end()
	if err != nil || took > 10*time.Second {
		t.Errorf("stopped in %s with %v, want 0 within 10 s", took, err)
	}
	t.Logf("stopped in %.2f s", took.Seconds())
	_ = in.Close() // it may be closed already: the put has ended
	if err := put.Wait(); err == nil || putSaid.Len() == 0 {
		t.Errorf("the put that was cut ended well: %s", putSaid.String())
	}
	rest, _ := io.Copy(io.Discard, out) // how it ends, Wait says
	if err := get.Wait(); err == nil || getSaid.Len() == 0 {
		t.Errorf("the get that was cut ended well after %d bytes: %s", rest, getSaid.String())
	}

	end = s.daemon(t)
	for root, want := range kept {
		got, err := s.command("cat", root).Output()
		if err != nil || sha256.Sum256(got) != want {
			t.Errorf("%s was put, and is not there: %d bytes, %v", root, len(got), err)
		}
	}
	if took, err := end(); err != nil || took > 3*time.Second {
		t.Errorf("idle, it stopped in %s with %v", took, err)
	}
}
