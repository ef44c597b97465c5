package rpc_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/rpc"
	"github.com/ipfs/go-cid"
)

// running runs s until stop.
func running(t *testing.T, s *rpc.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A burst of changes is brought to others once, as it is at its end; changes that never
// cease, now and then.
func TestABurstOfChangesIsPlacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, dir := newKeeper(), t.TempDir()
		sh := shell{t, rooted(k, dir)}
		defer running(t, sh.s)()
		for i := range 50 {
			sh.write(fmt.Sprintf("/f%d", i), "text")
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(k.placed(false)); n != 0 {
			t.Errorf("%d roots were placed during the burst", n)
		}
		time.Sleep(3 * time.Second)
		first := sh.stat("/").Hash
		if kept := k.placed(true); len(kept) != 1 || kept[0].String() != first || !slices.Equal(k.ours(), []string{first}) {
			t.Errorf("placed %v, pinned %v, want %s alone", kept, k.ours(), first)
		}
		for i := range 60 { // a minute without a quiet time
			sh.write("/f", fmt.Sprint("text", i), "truncate=true")
			time.Sleep(time.Second)
		}
		time.Sleep(3 * time.Second)
		if n := len(k.placed(false)); n < 3 || n > 5 || !slices.Equal(k.ours(), []string{sh.stat("/").Hash}) {
			t.Errorf("%d roots were placed in a minute, pinned %v", n, k.ours())
		}
	})
}

// While no root gets its copies the last that had them stays pinned, and of those since
// then only the newest.
func TestTheLastRootWithItsCopiesStaysUntilANewerHasThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		sh := shell{t, rooted(k, t.TempDir())}
		defer running(t, sh.s)()
		sh.write("/f", "safe")
		time.Sleep(3 * time.Second)
		safe := sh.stat("/").Hash
		k.few.Store(true)
		for i := range 4 {
			sh.write("/f", fmt.Sprint("unsafe", i), "truncate=true")
			time.Sleep(3 * time.Second)
			if got := k.ours(); len(got) != 2 || !slices.Contains(got, safe) || !slices.Contains(got, sh.stat("/").Hash) {
				t.Errorf("pinned %v, want %s and %s", got, safe, sh.stat("/").Hash)
			}
		}
		k.few.Store(false)
		time.Sleep(2 * time.Minute)
		if got := k.ours(); !slices.Equal(got, []string{sh.stat("/").Hash}) {
			t.Errorf("pinned %v, want %s", got, sh.stat("/").Hash)
		}
	})
}

// The peer dies after each of the steps that follow a change, and starts anew: the files
// are as they were left, one of their roots is pinned at any time, and in the end the newest
// alone. A pin of the user's own, of a root that the files had, stays.
func TestACrashBetweenStepsLosesNothing(t *testing.T) {
	steps := 0
	for left := range 6 {
		synctest.Test(t, func(t *testing.T) {
			k, dir := newKeeper(), t.TempDir()
			sh := shell{t, rooted(k, dir)}
			stop := running(t, sh.s)
			sh.write("/f", "mine")
			time.Sleep(3 * time.Second)
			mine := sh.stat("/").Hash
			if _, err := k.Pin(t.Context(), mine, "my own", func(blocks.Progress) {}); err != nil {
				t.Fatal(err)
			}
			sh.write("/f", "older", "truncate=true")
			time.Sleep(3 * time.Second)
			older := sh.stat("/").Hash
			k.lives(left)
			sh.write("/f", "newer", "truncate=true")
			newer := sh.stat("/").Hash
			time.Sleep(3 * time.Second)
			stop()
			if k.lives(-1) == 0 {
				steps++
			}
			if got := k.ours(); !slices.Contains(got, older) && !slices.Contains(got, newer) {
				t.Errorf("after %d steps %v are pinned, neither %s nor %s", left, got, older, newer)
			}
			k.Hold() // as a process that is gone
			sh.s = rooted(k, dir)
			if _, err := k.collect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := sh.must("read", []string{"/f"}); got != "newer" {
				t.Errorf("after %d steps: %q", left, got)
			}
			defer running(t, sh.s)()
			time.Sleep(3 * time.Second)
			if got := k.ours(); !slices.Equal(got, []string{newer}) {
				t.Errorf("after %d steps and a start %v are pinned, want %s", left, got, newer)
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			if c := cid.MustParse(mine); k.pins[c].Name != "my own" {
				t.Errorf("the user's own pin: %+v", k.pins[c])
			}
		})
	}
	if steps < 3 {
		t.Errorf("the peer died after %d different steps: the test proves little", steps)
	}
}

// What cannot be written down has not happened; what cannot be read is not taken for nothing.
func TestARootThatCannotBeKeptIsNoRoot(t *testing.T) {
	k, base := newKeeper(), t.TempDir()
	dir := filepath.Join(base, "requests")
	sh := shell{t, rooted(k, dir)}
	sh.write("/f", "text")
	root, stands := sh.stat("/").Hash, filepath.Join(dir, "mutable-files")
	good, err := os.ReadFile(stands)
	if err != nil || !strings.Contains(string(good), root) {
		t.Fatalf("%s, %v", good, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // where the directory should be
		t.Fatal(err)
	}
	w := sh.ask("write", []string{"/f"}, []string{"truncate=true"}, file("other"))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "not written down") || sh.stat("/").Hash != root {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if _, err := k.collect(t.Context()); err != nil || sh.must("read", []string{"/f"}) != "text" {
		t.Errorf("what was there: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"{", `{"root":"nonsense"}`, "", strings.Repeat(" ", 2<<20)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(stands, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		sh.s = rooted(k, dir)
		for cmd, args := range map[string][]string{"ls": nil, "mkdir": {"/x"}, "flush": nil} {
			if w := sh.ask(cmd, args, nil, nil); w.Code != 500 || !strings.Contains(w.Body.String(), stands) {
				t.Errorf("%.10q: %s: %d %s", bad, cmd, w.Code, w.Body)
			}
		}
		if is, err := os.ReadFile(stands); err != nil || string(is) != bad {
			t.Errorf("%.10q was written over: %.10q %v", bad, is, err)
		}
	}
	if err := os.WriteFile(stands, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if sh.s = rooted(k, dir); sh.must("read", []string{"/f"}) != "text" { // the control
		t.Error("a good one is not read")
	}
}

// What cannot be kept by others, as something in the tree is none of theirs, is not noted
// again and again: the file of the root would become too long to be read.
func TestRootsThatCannotBeKeptDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, dir := newKeeper(), t.TempDir()
		sh := shell{t, rooted(k, dir)}
		defer running(t, sh.s)()
		change := func(n int) {
			for range n {
				sh.write("/f", time.Now().String(), "create=true", "truncate=true")
				time.Sleep(3 * time.Second)
			}
		}
		change(1)
		first := k.ours()
		k.unfit.Store(true)
		change(40)
		data, err := os.ReadFile(filepath.Join(dir, "mutable-files"))
		if n := strings.Count(string(data), "safe"); err != nil || n > 2 {
			t.Errorf("%d roots are noted, %v", n, err)
		}
		if !slices.Equal(k.ours(), first) || len(first) != 1 {
			t.Errorf("pinned %v, want %v, the last that could be", k.ours(), first)
		}
		k.unfit.Store(false)
		change(1)
		if now := sh.stat("/").Hash; !slices.Equal(k.ours(), []string{now}) {
			t.Errorf("pinned %v, want %s", k.ours(), now)
		}
	})
}
