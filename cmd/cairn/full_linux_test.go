package main

import (
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestADiskThatIsFull runs a daemon on a disk that is too small, which takes root
// to make.
func TestADiskThatIsFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP full disk: needs root to mount one")
	}
	testscript.Run(t, testscript.Params{
		Files: []string{filepath.Join("testdata", "full", "full.txtar")},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"waitfor":   waitFor,
			"smalldisk": func(ts *testscript.TestScript, _ bool, args []string) { sized(ts, args[0], 0, "size=160m") },
			"growdisk": func(ts *testscript.TestScript, _ bool, args []string) {
				sized(ts, args[0], syscall.MS_REMOUNT, "size=600m")
			},
			"file":   someFile,
			"used":   used,
			"same":   same,
			"post":   post,
			"catcid": catCID,
		},
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"} {
				env.Setenv(name, filepath.Join(env.WorkDir, "xdg", name))
			}
			return nil
		},
	})
}

// sized mounts a disk in memory, or gives it another size.
func sized(ts *testscript.TestScript, name string, flags uintptr, size string) {
	dir := ts.MkAbs(name)
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", flags, size))
	if flags == 0 {
		ts.Defer(func() { ts.Check(syscall.Unmount(dir, syscall.MNT_DETACH)) })
	}
}

// someFile makes a file of so many MiB that nothing compresses: file big 200.
func someFile(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	data := make([]byte, n<<20)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(data) // never fails
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// used writes how many MiB of a disk are taken: used disk before.
func used(ts *testscript.TestScript, _ bool, args []string) {
	var st syscall.Statfs_t
	ts.Check(syscall.Statfs(ts.MkAbs(args[0]), &st))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), strconv.AppendUint(nil, (st.Blocks-st.Bfree)*uint64(st.Bsize)>>20, 10), 0o600))
}

// same holds two such numbers to differ by 4 MiB at most: logs and an index grow.
func same(ts *testscript.TestScript, _ bool, args []string) {
	a, err := strconv.Atoi(ts.ReadFile(args[0]))
	ts.Check(err)
	b, err := strconv.Atoi(ts.ReadFile(args[1]))
	ts.Check(err)
	ts.Logf("%d MiB before, %d after", a, b)
	if b > a+4 {
		ts.Fatalf("%d MiB before, %d after", a, b)
	}
}

// post sends a file to the API of a home and checks the status of the answer and its
// code: post 507 full home file.
func post(ts *testscript.TestScript, _ bool, args []string) {
	home := node.HomeAt(ts.MkAbs(args[2]))
	base, token := ts.ReadFile(home.APIAddrFile()), ts.ReadFile(home.TokenFile())
	req, err := http.NewRequest("POST", strings.TrimSpace(base)+"/api/v1/put?wait=local", strings.NewReader(ts.ReadFile(args[3])))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	start := time.Now()
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	ts.Check(err)
	ts.Logf("%d after %v: %s", res.StatusCode, time.Since(start), body)
	if strconv.Itoa(res.StatusCode) != args[0] || !strings.Contains(string(body), `"code":"`+args[1]+`"`) {
		ts.Fatalf("the answer does not say %s, %q", args[0], args[1])
	}
}

// catCID writes to the file out what a file names: catcid cid.
func catCID(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("cairn")
	ts.Check(err)
	ts.Check(ts.Exec(path, "get", "--force", "-o", "out", strings.TrimSpace(ts.ReadFile(args[0]))))
}
