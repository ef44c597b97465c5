package disk_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/ipfs/go-cid"
)

const victimDir = "CAIRN_TEST_VICTIM_DIR" // set: this process is there to be killed

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		fmt.Fprintln(os.Stderr, victim(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// victim puts and holds blocks until it is killed, and says which it was promised.
func victim(dir string) error {
	s, err := disk.Open(dir, disk.Config{})
	if err != nil {
		return err
	}
	ctx := context.Background()
	for i := uint64(0); ; i += 4 {
		var bs []blocks.Block
		for j := range uint64(4) {
			bs = append(bs, block(i+j, 200<<10))
		}
		if err := s.Put(ctx, bs...); err != nil {
			return err
		}
		for _, b := range bs {
			if err := s.Hold(ctx, blockstest.Lease(1, i, b.Cid(), testStart), b.Hash()); err != nil {
				return err
			}
			fmt.Println(b.Cid())
		}
	}
}

func TestWhatWasPromisedOutlivesAKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 { // each time on what the last left behind
		promised := murder(t, dir, 7+30*round)
		s := open(t, dir)
		for _, c := range promised {
			if _, err := s.Get(t.Context(), c); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if ls, err := s.Leases(t.Context(), c.Hash()); err != nil || len(ls) != 1 {
				t.Fatalf("round %d: %d leases of %s, %v; want 1", round, len(ls), c, err)
			}
		}
		for h, err := range s.All(t.Context()) {
			if err == nil {
				_, err = s.Get(t.Context(), blocks.Key(h)) // whole, though never promised
			}
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// murder runs a victim, kills it after lines promises, and answers all that it made.
func murder(t *testing.T, dir string, lines int) (promised []cid.Cid) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan(); {
		promised = append(promised, blockstest.Must(cid.Decode(sc.Text())))
		if len(promised) == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // killed, as it should be
	if len(promised) < lines {
		t.Fatalf("got %d promises, want %d", len(promised), lines)
	}
	return promised
}
