package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// On five real peers p4 watches a name that p0 publishes: it is to say so within 2 s, five times over. It does
// not yet, so `make acceptance` leaves it out: it says so after 4 to 5 s, when it looks at the keepers again.
func TestAWatchedNameIsSeenWithinTwoSeconds(t *testing.T) {
	wanted(t, "CAIRN_ACCEPTANCE")
	w := up(t, 5)
	run := func(args ...string) string {
		t.Helper()
		out, err := w.run(t.Context(), nil, args...)
		if err != nil {
			t.Fatalf("cairn %q: %v %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	at0 := []string{"--peer", "p0@" + w.name}
	var key blocks.KeyInfo
	if err := json.Unmarshal([]byte(run(append([]string{"key", "gen", "--json", "site"}, at0...)...)), &key); err != nil {
		t.Fatal(err)
	}
	watch := exec.CommandContext(t.Context(), w.bin, "name", "watch", "--peer", "p4@"+w.name, "--json", key.Name)
	watch.Env = append(os.Environ(), "CAIRN_TESTNET_DIR="+w.dir)
	out, err := watch.StdoutPipe()
	if err == nil {
		err = watch.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 16)
	go func() { // ends with the process
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = watch.Process.Kill()
		for range lines {
		}
		_ = watch.Wait()
	})
	var all []string
	for i, root := range []string{"bafkqaaa", "bafkqaalb", "bafkqaalc", "bafkqaald", "bafkqaale"} {
		if i > 0 {
			time.Sleep(500 * time.Millisecond)
		}
		began := time.Now()
		run(append([]string{"name", "publish", "--key", "site", "/ipfs/" + root}, at0...)...)
		published := time.Since(began)
		select {
		case line := <-lines:
			took := time.Since(began)
			all = append(all, took.Round(time.Millisecond).String())
			if !strings.Contains(line, root) {
				t.Errorf("heard %s, want %s", line, root)
			}
			if took-published > 2*time.Second {
				t.Errorf("%s was seen %v after its publish returned", root, took-published)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s is not seen within 10 s", root)
		}
	}
	t.Logf("FIGURE seen by the watcher after the publish began: %s", strings.Join(all, ", "))
}
