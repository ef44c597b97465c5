//go:build !windows

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A process that outlives this one gets no file that this one was handed, such as the lock of
// flock. The control starts it as any other.
func TestWhatIsDetachedHoldsNoFileOfTheCaller(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	handed, err := syscall.Dup(int(f.Fd())) // without close-on-exec, as from a shell
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(handed)
	for _, detached := range []bool{false, true} {
		c := exec.Command("sh", "-c", fmt.Sprintf(": >&%d", handed))
		if detached {
			detach(c)
		}
		if out, err := c.CombinedOutput(); (err == nil) == detached {
			t.Errorf("detached: %t, but writing to the file: %v, %s", detached, err, out)
		}
	}
}
