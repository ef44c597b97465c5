package main

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// image is what the Dockerfile says of the program's image.
type image struct {
	build   string // the command that builds the program to /cairn
	uid     uint32
	env     []string
	command []string
	health  []string
}

func readImage(t *testing.T, file string) (im image) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list := func(text string) (words []string) {
		if err := json.Unmarshal([]byte(text), &words); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return words
	}
	for line := range strings.Lines(string(data)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "RUN":
			if build, _, _ := strings.Cut(rest, " && "); strings.Contains(build, "go build") {
				im.build = build
			}
		case "USER":
			uid, _, _ := strings.Cut(rest, ":")
			n, err := strconv.ParseUint(uid, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			im.uid = uint32(n)
		case "ENV":
			im.env = append(im.env, rest)
		case "ENTRYPOINT", "CMD":
			im.command = append(im.command, list(rest)...)
		case "HEALTHCHECK":
			_, words, _ := strings.Cut(rest, "CMD ")
			im.health = list(words)
		}
	}
	if im.build == "" || im.uid == 0 || len(im.command) < 2 || len(im.health) < 2 {
		t.Fatalf("not understood: %+v", im)
	}
	return im
}

// Without a container engine: the program as the Dockerfile builds it, in a root directory
// that is empty and read-only but for /data, as the Dockerfile's user, starts, is healthy
// and stops when it is told to.
func TestTheImageStartsFromNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: long; make test runs it")
	}
	if os.Getuid() != 0 {
		t.Skip("SKIP: needs root to change the root directory")
	}
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	im, root := readImage(t, filepath.Join(source, "Dockerfile")), t.TempDir()
	build := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(im.build, "-o /cairn", "-o "+filepath.Join(root, "cairn"), 1))
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", im.build, err, out)
	}
	program, err := elf.Open(filepath.Join(root, "cairn"))
	if err != nil {
		t.Fatal(err)
	}
	if libs, err := program.ImportedLibraries(); err != nil || len(libs) > 0 || program.Section(".interp") != nil {
		t.Errorf("it needs %q, %v: an empty image has nothing", libs, err)
	}
	_ = program.Close() // it was only read
	if err := os.Mkdir(filepath.Join(root, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(root, "data"), int(im.uid), int(im.uid)); err != nil {
		t.Fatal(err)
	}
	inside := func(words []string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), words[0], words[1:]...)
		c.Dir = "/"
		c.Env = append([]string{"CAIRN_NETWORK_PROFILE=testnet", "CAIRN_API_LISTEN=127.0.0.1:0", "CAIRN_GATEWAY_LISTEN=127.0.0.1:0"}, im.env...)
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: im.uid, Gid: im.uid}}
		return c
	}
	daemon := inside(im.command)
	out := &awaited{what: "ready", seen: make(chan struct{})}
	var said bytes.Buffer
	daemon.Stdout, daemon.Stderr = out, &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }() // ends with the process, which the test's context ends
	select {
	case <-out.seen:
	case err := <-ended:
		t.Fatalf("it ended: %v: %s", err, said.String())
	case <-time.After(30 * time.Second):
		t.Fatalf("not ready after 30 s: %s", said.String())
	}
	if out, err := inside(im.health).CombinedOutput(); err != nil {
		t.Errorf("health check: %v: %s", err, out)
	}
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("told to stop: %v: %s", err, said.String())
		}
	case <-time.After(10 * time.Second):
		t.Error("does not stop within 10 s")
	}
	if out, err := inside(im.health).CombinedOutput(); err == nil {
		t.Errorf("without a daemon the health check says %s", out)
	}
}
