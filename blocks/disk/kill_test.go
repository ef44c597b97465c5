package disk_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

const (
	victimDir  = "CAIRN_TEST_VICTIM_DIR"  // set: this process is there to be killed
	victimSeed = "CAIRN_TEST_VICTIM_SEED" // of its first block
	victimLies = "CAIRN_TEST_VICTIM_LIES" // set: it acknowledges before it puts
	victimFill = "CAIRN_TEST_VICTIM_FILL" // so many small blocks it puts, and then waits
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		err := error(nil)
		if n := os.Getenv(victimFill); n != "" {
			err = fillAndWait(dir, n)
		} else {
			err = victim(dir)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// long reports whether the full figures are asked for, with CAIRN_LONG=1.
func long() bool { return os.Getenv("CAIRN_LONG") != "" }

// victimBlock is the block that belongs to a seed; its size too does.
func victimBlock(seed uint64) blocks.Block {
	return block(seed, []int{100, 1000, 4000, 16_000, 64_000}[seed%5])
}

// victim puts 200 blocks a second, holds every third and deletes every tenth,
// until it is killed. What it says is true when it says it: "put", "hold" and
// "gone" after the store acknowledged, "going" before a delete is asked for.
func victim(dir string) error {
	s, err := disk.Open(dir, disk.Config{})
	if err != nil {
		return err
	}
	var first uint64
	if _, err := fmt.Sscan(os.Getenv(victimSeed), &first); err != nil {
		return err
	}
	lies := os.Getenv(victimLies) != ""
	tick := time.NewTicker(4 * 5 * time.Millisecond) // four at a time
	defer tick.Stop()
	fmt.Println("ready")
	g, ctx := errgroup.WithContext(context.Background())
	g.SetLimit(9)
	g.Go(func() error { return tidy(ctx, s) })
	for i := first; ctx.Err() == nil; i += 4 {
		<-tick.C
		g.Go(func() error { return errand(ctx, s, i, lies) })
	}
	return g.Wait()
}

// fillAndWait is the victim of whom it is only asked how long its store takes to open.
func fillAndWait(dir, count string) error {
	var n int
	if _, err := fmt.Sscan(count, &n); err != nil {
		return err
	}
	s, err := disk.Open(dir, disk.Config{})
	if err != nil {
		return err
	}
	for bs := range slices.Chunk(many(n, 1024, 7), 500) {
		if err := s.Put(context.Background(), bs...); err != nil {
			return err
		}
	}
	fmt.Println("full")
	time.Sleep(time.Minute)
	return errors.New("nobody killed it")
}

// many gives n blocks of size bytes.
func many(n, size int, seed uint64) (bs []blocks.Block) {
	for i := range uint64(n) {
		bs = append(bs, block(seed<<32+i, size))
	}
	return bs
}

// tidy compacts all the time, so that it too is killed.
func tidy(ctx context.Context, s *disk.Store) error {
	for ctx.Err() == nil {
		if _, err := s.Compact(ctx, nil); err != nil {
			return err
		}
		time.Sleep(30 * time.Millisecond)
	}
	return nil
}

// errand puts four blocks, and what belongs to them.
func errand(ctx context.Context, s *disk.Store, i uint64, lies bool) error {
	var bs []blocks.Block
	said := ""
	for j := range uint64(4) {
		bs = append(bs, victimBlock(i+j))
		said += fmt.Sprintln("put", i+j)
	}
	if lies { // as a store does that writes behind
		fmt.Print(said)
		time.Sleep(5 * time.Millisecond)
	}
	if err := s.Put(ctx, bs...); err != nil {
		return err
	}
	if !lies {
		fmt.Print(said)
	}
	if err := s.Hold(ctx, blockstest.Lease(1, i, bs[0].Cid(), testStart), bs[0].Hash()); err != nil {
		return err
	}
	fmt.Println("hold", i)
	if i%3 == 0 {
		fmt.Println("going", i+1)
		if err := s.Delete(ctx, bs[1].Hash()); err != nil {
			return err
		}
		fmt.Println("gone", i+1)
	}
	return nil
}

// promises is what victims said, by the seed of the block.
type promises struct{ put, held, going, gone map[uint64]bool }

func newPromises() promises {
	return promises{map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}}
}

func (p promises) note(line string) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	var seed uint64
	if _, err := fmt.Sscan(rest, &seed); err != nil {
		return
	}
	if set := map[string]map[uint64]bool{"put": p.put, "hold": p.held, "going": p.going, "gone": p.gone}[word]; set != nil {
		set[seed] = true
	}
}

// broken counts what of the promises about seeds s does not keep.
func (p promises) broken(t *testing.T, s *disk.Store, seeds []uint64) (lost, wrong, risen int) {
	t.Helper()
	for _, seed := range seeds {
		b := victimBlock(seed)
		got, err := s.Get(t.Context(), b.Cid())
		switch {
		case err == nil && string(got.RawData()) != string(b.RawData()):
			wrong++
		case err == nil && p.gone[seed]:
			risen++
		case err != nil && p.put[seed] && !p.going[seed]:
			t.Logf("block %d: %v", seed, err)
			lost++
		case err != nil && !blocks.IsNotFound(err):
			t.Logf("block %d, which nobody promised: %v", seed, err)
			wrong++
		}
		if p.held[seed] {
			if ls, err := s.Leases(t.Context(), b.Hash()); err != nil || len(ls) != 1 {
				t.Logf("block %d: %d leases, %v", seed, len(ls), err)
				lost++
			}
		}
	}
	return lost, wrong, risen
}

// murder runs a victim, kills it after some time of work, and notes what it said.
func murder(t *testing.T, dir string, first uint64, after time.Duration, lies bool, p promises) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir, fmt.Sprint(victimSeed, "=", first))
	if lies {
		cmd.Env = append(cmd.Env, victimLies+"=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill sync.Once
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // never got ready
	defer late.Stop()
	ready := false
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if sc.Text() == "ready" {
			ready = true
			kill.Do(func() { time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) })
		}
		p.note(sc.Text())
	}
	_ = cmd.Wait() // killed, as it should be
	if !ready {
		t.Fatal("the victim never came to work")
	}
}

func TestWhatWasPromisedOutlivesAKill(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 5
	}
	if long() {
		kills = 500
	}
	rng := rand.New(rand.NewPCG(4, 4))
	dir, p := t.TempDir(), newPromises()
	var lost, wrong, risen int
	var opening []time.Duration
	for round := range kills { // each time on what the last left behind
		first := uint64(round) << 20
		murder(t, dir, first, time.Duration(50+rng.IntN(400))*time.Millisecond, false, p)
		start := time.Now()
		s, err := disk.Open(dir, disk.Config{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		opening = append(opening, time.Since(start))
		seeds := slices.Collect(func(yield func(uint64) bool) {
			for seed := range p.put {
				if (seed >= first || rng.IntN(50) == 0 || round == kills-1) && !yield(seed) {
					return
				}
			}
		})
		l, w, r := p.broken(t, s, seeds)
		lost, wrong, risen = lost+l, wrong+w, risen+r
		wrong += unlisted(t, s, round == kills-1)
		if err := s.Close(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	slices.Sort(opening)
	t.Logf("kill -9: kills %d, acked %d, lost %d, wrong %d, deleted back %d; reopened in %v (median), %v (most)",
		kills, len(p.put)+len(p.held)+len(p.gone), lost, wrong, risen, opening[len(opening)/2], opening[len(opening)-1])
	if lost+wrong+risen > 0 || len(p.put) < 10*kills {
		t.Errorf("lost %d, wrong %d, deleted back %d of %d", lost, wrong, risen, len(p.put))
	}
}

// unlisted counts the blocks that are listed and cannot be read.
func unlisted(t *testing.T, s *disk.Store, all bool) (n int) {
	t.Helper()
	for h, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if !all && h[len(h)-1]%16 != 0 {
			continue
		}
		if err := s.View(t.Context(), h, func(data []byte) error {
			if sum, err := mh.Sum(data, mh.SHA2_256, -1); err != nil || string(sum) != string(h) {
				return blocks.ErrMismatch
			}
			return nil
		}); err != nil {
			t.Logf("listed: %v", err)
			n++
		}
	}
	return n
}

// A process that acknowledges before it puts must be caught, or the test above
// would prove nothing. (A store that never syncs would not: what was written
// outlives its process. That is what cutting the power is for.)
func TestControlAKillFindsOutWhoAcknowledgesTooEarly(t *testing.T) {
	dir, p := t.TempDir(), newPromises()
	lost := 0
	for round := range 20 {
		first := uint64(round) << 20
		murder(t, dir, first, time.Duration(50+7*round)*time.Millisecond, true, p)
		s, err := disk.Open(dir, disk.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for seed := range p.put {
			if ok, err := s.Has(t.Context(), victimBlock(seed).Hash()); err != nil || !ok && !p.going[seed] {
				lost++
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if lost > 0 {
			t.Logf("control, acknowledged too early: %d lost after %d kills", lost, round+1)
			return
		}
	}
	t.Error("20 kills found nothing lost")
}
