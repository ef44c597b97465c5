package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

// These run real processes for minutes, so they are asked for:
//
//	make acceptance   TestFilesOutliveTheirPublisher and its control
//	make bench        TestFigures
func wanted(t *testing.T, variable string) {
	t.Helper()
	if os.Getenv(variable) == "" {
		t.Skipf("SKIP: takes minutes; set %s=1, or make acceptance bench", variable)
	}
}

// up builds the program and starts n peers, which are gone when the test ends.
func up(t *testing.T, n int, flags ...string) network {
	t.Helper()
	w := network{bin: filepath.Join(t.TempDir(), "cairn"), dir: t.TempDir(), name: "acceptance"}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", w.bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := w.run(ctx, nil, "testnet", "down", "--name", w.name, "--purge"); err != nil {
			t.Errorf("down: %v", err)
		}
		if left, _ := exec.Command("pgrep", "-f", w.dir).Output(); len(left) > 0 {
			t.Errorf("processes are left: %s", left)
		}
	})
	t0 := time.Now()
	if _, err := w.run(t.Context(), nil, append([]string{"testnet", "up", "-n", strconv.Itoa(n), "--name", w.name}, flags...)...); err != nil {
		t.Fatal(err)
	}
	t.Logf("FIGURE %d peers ready in %.2f s", n, time.Since(t0).Seconds())
	return w
}

func files() int {
	if n, err := strconv.Atoi(os.Getenv("FILES")); err == nil && n > 0 {
		return n
	}
	return 100
}

// 20 peers; files of 1 KB to 10 MB are put through p0, which is killed the moment the
// last put returns; every file is read back, identical, through other peers.
func TestFilesOutliveTheirPublisher(t *testing.T) {
	wanted(t, "CAIRN_ACCEPTANCE")
	read, of := publishAndDie(t)
	if read != of {
		t.Errorf("%d of %d files read back", read, of)
	}
}

// Its control: kept at p0 only, the same files die with it.
func TestUnplacedFilesDieWithTheirPublisher(t *testing.T) {
	wanted(t, "CAIRN_ACCEPTANCE")
	if read, of := publishAndDie(t, "--wait", "local", "--no-place"); read != 0 {
		t.Errorf("%d of %d files read back, want none: the test above proves nothing", read, of)
	}
}

func publishAndDie(t *testing.T, flags ...string) (read, of int) {
	const peers = 20
	w, rng := up(t, peers), rand.New(rand.NewPCG(20, 26))
	type file struct {
		root string
		data []byte
	}
	var all []file
	var bytesPut, putting = 0, time.Now()
	for i := range files() {
		size := int(1e3 * math.Pow(10, 4*float64(i)/float64(max(files()-1, 1)))) // 1 KB … 10 MB, evenly in the logarithm
		data := make([]byte, size)
		for k := range data {
			data[k] = byte(rng.Uint32())
		}
		rc, err := w.put(t.Context(), "p0", data, flags...)
		if err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
		all = append(all, file{rc.Root.String(), data})
		bytesPut += size
	}
	t.Logf("FIGURE put %d files, %.1f MB, in %.1f s", len(all), float64(bytesPut)/1e6, time.Since(putting).Seconds())
	if _, err := w.run(t.Context(), nil, "testnet", "kill", "--name", w.name, "p0"); err != nil {
		t.Fatal(err)
	}
	reading := time.Now()
	for i, f := range all {
		of++
		through := fmt.Sprintf("p%d@%s", 1+rng.IntN(peers-1), w.name)
		got, err := w.run(t.Context(), nil, "cat", "--peer", through, f.root)
		switch {
		case err != nil && len(flags) == 0:
			t.Errorf("file %d through %s: %v", i, through, err)
		case err != nil:
		case !bytes.Equal(got, f.data):
			t.Errorf("file %d through %s: %d bytes that are not the file", i, through, len(got))
		default:
			read++
		}
	}
	t.Logf("FIGURE read back %d of %d in %.1f s", read, of, time.Since(reading).Seconds())
	return read, of
}

// The figures of readiness, memory, put and first byte, on eight real peers.
func TestFigures(t *testing.T) {
	wanted(t, "CAIRN_BENCH")
	w := up(t, 8)
	if info, err := os.Stat(w.bin); err == nil {
		t.Logf("FIGURE binary %.1f MB stripped, without cgo", float64(info.Size())/1e6)
	}
	t.Logf("FIGURE resident memory of each idle peer: %s", rss(t, w))
	var putTimes, firstTimes []string
	for i := range 11 {
		data := make([]byte, 1<<20)
		rng := rand.New(rand.NewPCG(uint64(i), 9))
		for k := range data {
			data[k] = byte(rng.Uint32())
		}
		t0 := time.Now()
		rc, err := w.put(t.Context(), "p0", data)
		if err != nil {
			t.Fatal(err)
		}
		putTimes = append(putTimes, fmt.Sprintf("%.3f", time.Since(t0).Seconds()))
		stranger := w.stranger(t, rc)
		t0 = time.Now()
		cmd := exec.CommandContext(t.Context(), w.bin, "cat", "--length", "1", "--peer", stranger+"@"+w.name, rc.Root.String())
		cmd.Env = append(os.Environ(), "CAIRN_TESTNET_DIR="+w.dir)
		out, err := cmd.Output()
		if err != nil || len(out) != 1 {
			t.Fatalf("first byte: %q, %v", out, err)
		}
		firstTimes = append(firstTimes, fmt.Sprintf("%.3f", time.Since(t0).Seconds()))
	}
	t.Logf("FIGURE put of 1 MiB with quorum, whole command, s: %s", strings.Join(putTimes, " "))
	t.Logf("FIGURE first byte of it through a stranger, whole command, s: %s", strings.Join(firstTimes, " "))
	t.Logf("FIGURE resident memory of each peer afterwards: %s", rss(t, w))
}

func (n network) stranger(t *testing.T, rc blocks.Receipt) string {
	t.Helper()
	var h api.Health
	if err := n.ask(t.Context(), &h, "health", "--peer", "p0@"+n.name, rc.Root.String()); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 8; i++ {
		name := fmt.Sprintf("p%d", i)
		var id struct{ ID string }
		if err := n.ask(t.Context(), &id, "id", "--peer", name+"@"+n.name); err != nil {
			t.Fatal(err)
		}
		held := false
		for _, p := range h.Holders {
			held = held || p.String() == id.ID
		}
		if !held {
			return name
		}
	}
	t.Fatal("everybody holds it")
	return ""
}

// rss lists the resident set of every peer, as the kernel says.
func rss(t *testing.T, w network) string {
	t.Helper()
	pids, err := exec.Command("pgrep", "-f", w.dir).Output()
	if err != nil {
		t.Fatalf("pgrep: %v", err)
	}
	var all []string
	for _, pid := range strings.Fields(string(pids)) {
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				n, _ := strconv.Atoi(strings.Fields(kb)[0])
				all = append(all, fmt.Sprintf("%.0f MiB", float64(n)/1024))
			}
		}
	}
	return strings.Join(all, ", ")
}
