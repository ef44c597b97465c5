package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mostMemory is what a daemon's resident set may grow to, however large the files.
const mostMemory = 200 << 20 // bytes

// number is the environment's, or the usual one.
func number(variable string, usual int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(variable), 10, 64); err == nil && n > 0 {
		return n
	}
	return usual
}

// peak is the most memory that a process had since it began or since peak was asked
// last, in bytes.
func peak(t *testing.T, pid int) (most int64) {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIP: needs Linux's /proc")
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok && err == nil {
			most, err = strconv.ParseInt(strings.Fields(kb)[0], 10, 64)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "clear_refs"), []byte("5"), 0o600); err != nil {
		t.Fatal(err)
	}
	return most << 10
}

// pid is that of the peer p0.
func (n network) pid(t *testing.T) int {
	t.Helper()
	var status struct{ Peers []peerStatus }
	if err := n.ask(t.Context(), &status, "testnet", "status", "--name", n.name); err != nil {
		t.Fatal(err)
	}
	return status.Peers[0].PID
}

// stage runs f and holds the daemon to its memory meanwhile.
func stage(t *testing.T, pid int, what string, bytes int64, f func() error) {
	t.Helper()
	peak(t, pid)
	began := time.Now()
	if err := f(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	took, most := time.Since(began), peak(t, pid)
	t.Logf("FIGURE %s of %d MiB: %.1f s, %.0f MB/s, daemon at most %.0f MiB", what, bytes>>20, took.Seconds(), float64(bytes)/took.Seconds()/1e6, float64(most)/(1<<20))
	if most > mostMemory {
		t.Errorf("%s: the daemon took %d MiB, want at most %d", what, most>>20, mostMemory>>20)
	}
}

// A file of CAIRN_LARGE MiB, else 4096, goes through a real daemon in every way there is,
// and its memory stays what it is.
func TestFiguresOfALargeFile(t *testing.T) {
	wanted(t, "CAIRN_BENCH")
	n := number("CAIRN_LARGE", 4096) << 20
	w := up(t, 1)
	pid := w.pid(t)
	whole := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{42}), n) }
	want := sha256.New()
	if _, err := io.Copy(want, whole()); err != nil {
		t.Fatal(err)
	}
	same := func(got hash.Hash) error {
		if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
			return errors.New("other bytes than were put")
		}
		return nil
	}
	cairn := func(out io.Writer, in io.Reader, args ...string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, w.bin, append(args, "--peer", "p0@"+w.name)...)
		c.Env = append(os.Environ(), "CAIRN_TESTNET_DIR="+w.dir)
		var said bytes.Buffer
		c.Stdin, c.Stdout, c.Stderr = in, out, &said
		if err := c.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, said.String())
		}
		return nil
	}
	var root bytes.Buffer
	stage(t, pid, "put --wait local", n, func() error { return cairn(&root, whole(), "put", "-q", "--wait", "local", "-") })
	id := strings.TrimSpace(root.String())
	stage(t, pid, "get", n, func() error {
		got := sha256.New()
		return errors.Join(cairn(got, nil, "get", "-o", "-", id), same(got))
	})
	stage(t, pid, "gateway", n, func() error {
		var me struct{ Gateway string }
		if err := w.ask(t.Context(), &me, "id", "--peer", "p0@"+w.name); err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, me.Gateway+"/ipfs/"+id, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		got := sha256.New()
		if _, err := io.Copy(got, res.Body); err != nil {
			return err
		}
		return same(got)
	})
}

// A directory of CAIRN_ENTRIES files, else 100,000, is put and listed through a real daemon.
func TestFiguresOfALargeDirectory(t *testing.T) {
	wanted(t, "CAIRN_BENCH")
	n := int(number("CAIRN_ENTRIES", 100_000))
	w := up(t, 1)
	dir := t.TempDir()
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d", i)), []byte(strconv.Itoa(i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pid, began := w.pid(t), time.Now()
	peak(t, pid)
	out, err := w.run(t.Context(), nil, "put", "-q", "-r", "--wait", "local", "--peer", "p0@"+w.name, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("FIGURE put -r of %d files: %.1f s, daemon at most %d MiB", n, time.Since(began).Seconds(), peak(t, pid)>>20)
	root := strings.TrimSpace(string(out))
	for _, arg := range [][]string{{"kill", "p0"}, {"start", "p0"}} {
		if _, err := w.run(t.Context(), nil, append([]string{"testnet", "--name", w.name}, arg...)...); err != nil {
			t.Fatal(err)
		}
	}
	pid = w.pid(t)
	for _, state := range []string{"cold", "warm"} {
		peak(t, pid)
		began = time.Now()
		out, err := w.run(t.Context(), nil, "ls", "--peer", "p0@"+w.name, root)
		took := time.Since(began)
		if lines := bytes.Count(out, []byte("\n")); err != nil || lines != n {
			t.Fatalf("%d lines, %v", lines, err)
		}
		t.Logf("FIGURE ls of them, %s: %.2f s, daemon at most %d MiB", state, took.Seconds(), peak(t, pid)>>20)
	}
}
