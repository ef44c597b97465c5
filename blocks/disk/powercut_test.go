//go:build linux

package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// image is an ext4 file system in a file, mounted. What is in the file is what
// has reached the disk; what is not is lost when the power is cut.
type image struct{ file, dir string }

// throttle is where Linux is told how many bytes a second a device may write.
const throttle = "/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device"

// hold holds the device, not the file system, while do goes on: what the kernel
// wants to write from now on waits in the queue of the device.
func (im image) hold(t *testing.T, do func() error) error {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(im.dir, &st); err != nil {
		return err
	}
	limit := func(bytes int) error {
		return os.WriteFile(throttle, fmt.Appendf(nil, "%d:%d %d", unix.Major(st.Dev), unix.Minor(st.Dev), bytes), 0)
	}
	if err := limit(1); err != nil {
		t.Skipf("SKIP power cut: needs to hold a block device still: %v", err)
	}
	return errors.Join(do(), limit(0))
}

// cut copies what is on the disk at one instant: a copy during which something
// that was under way still reached the file is none, and is made again.
func (im image) cut(t *testing.T, to string) error {
	t.Helper()
	return im.hold(t, func() error {
		for range 50 {
			before, err := os.Stat(im.file)
			if err != nil {
				return err
			}
			if time.Since(before.ModTime()) < 20*time.Millisecond { // its clock is coarse
				time.Sleep(20 * time.Millisecond)
				continue
			}
			if err := im.copy(to); err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond)
			if after, err := os.Stat(im.file); err != nil || after.ModTime().Equal(before.ModTime()) {
				return err
			}
		}
		return errors.New("the device goes on writing")
	})
}

func mounted(t *testing.T, file, dir string) func() {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", file, dir).CombinedOutput(); err != nil {
		t.Skipf("SKIP power cut: needs root and loop mounts: %v %s", err, out)
	}
	return sync.OnceFunc(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
}

func newImage(t *testing.T, dir string) (image, func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIP power cut: needs root and loop mounts")
	}
	im := image{filepath.Join(dir, "image"), filepath.Join(dir, "mounted")}
	f, err := os.Create(im.file)
	if err == nil {
		err = errors.Join(f.Truncate(256<<20), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-J", "size=16", "-E", "lazy_itable_init=0,lazy_journal_init=0", im.file).CombinedOutput(); err != nil {
		t.Skipf("SKIP power cut: needs mkfs.ext4: %v %s", err, out)
	}
	return im, mounted(t, im.file, im.dir)
}

// copy copies the image, holes as holes.
func (im image) copy(to string) (err error) {
	in, err := os.Open(im.file)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	if err := out.Truncate(fi.Size()); err != nil {
		return err
	}
	for at := int64(0); ; {
		from, err := unix.Seek(int(in.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		if at, err = unix.Seek(int(in.Fd()), from, unix.SEEK_HOLE); err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(out, from), io.NewSectionReader(in, from, at-from)); err != nil {
			return err
		}
	}
}

// acks is what was acknowledged: the seeds of blocks.
type acks struct {
	mu    sync.Mutex
	seeds []uint64 // guarded by mu
}

func (a *acks) add(seeds ...uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seeds = append(a.seeds, seeds...)
}

func (a *acks) now() []uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seeds[:len(a.seeds):len(a.seeds)]
}

// load puts 200 blocks a second with put, four at a time, until ctx ends.
func load(ctx context.Context, a *acks, put func(context.Context, ...blocks.Block) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	g := new(errgroup.Group)
	g.SetLimit(4)
	for i := uint64(0); ; i += 4 {
		select {
		case <-ctx.Done():
			return g.Wait()
		case <-tick.C:
		}
		g.Go(func() error {
			if err := put(context.WithoutCancel(ctx), victimBlock(i), victimBlock(i+1), victimBlock(i+2), victimBlock(i+3)); err != nil {
				return err
			}
			a.add(i, i+1, i+2, i+3)
			return nil
		})
	}
}

// cuts is what was found after a number of power cuts.
type cuts struct{ acked, lost, wrong int }

func (c *cuts) find(seeds []uint64, get func(blocks.Block) ([]byte, error)) {
	for _, seed := range seeds {
		b := victimBlock(seed)
		got, err := get(b)
		c.acked++
		switch {
		case err != nil:
			c.lost++
		case string(got) != string(b.RawData()):
			c.lost++
			c.wrong++
		}
	}
}

func TestWhatWasPromisedOutlivesAPowerCut(t *testing.T) {
	n := 10
	if testing.Short() {
		n = 3
	}
	if long() {
		n = 200
	}
	rng := rand.New(rand.NewPCG(8, 8))
	var ours, kubo cuts
	for n > 0 {
		k := min(n, 10) // on one image
		powerCuts(t, k, rng, &ours, &kubo)
		n -= k
	}
	t.Logf("power cut: acked %d, lost %d, wrong %d", ours.acked, ours.lost, ours.wrong)
	t.Logf("control, Kubo's layout without sync: acked %d, lost %d, of them %d there, but empty or wrong", kubo.acked, kubo.lost, kubo.wrong)
	if ours.lost > 0 || ours.acked == 0 {
		t.Errorf("lost %d of %d", ours.lost, ours.acked)
	}
	if kubo.lost == 0 {
		t.Error("the control lost nothing: the power was not cut")
	}
}

// powerCuts cuts the power n times under a load of both stores.
func powerCuts(t *testing.T, n int, rng *rand.Rand, ours, kubo *cuts) {
	t.Helper()
	dir := t.TempDir()
	im, unmount := newImage(t, dir)
	defer unmount()
	s, err := disk.Open(filepath.Join(im.dir, "ours"), disk.Config{Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	kuboStore, err := openFlat(filepath.Join(im.dir, "kubo"), false)
	if err != nil {
		t.Fatal(err)
	}
	unix.Sync() // that both are there is nobody's promise
	ctx, stop := context.WithCancel(t.Context())
	var acked, flatAcked acks
	g := new(errgroup.Group)
	defer func() {
		stop()
		if err := errors.Join(g.Wait(), s.Close(), kuboStore.Close()); err != nil {
			t.Errorf("the load: %v", err)
		}
	}()
	g.Go(func() error { return load(ctx, &acked, s.Put) })
	g.Go(func() error { return load(ctx, &flatAcked, kuboStore.put) })
	for i := range n {
		time.Sleep(time.Duration(50+rng.IntN(400)) * time.Millisecond)
		was, flatWas := acked.now(), flatAcked.now()
		crashed := filepath.Join(dir, fmt.Sprint("crashed", i))
		if err := im.cut(t, crashed); err != nil {
			t.Fatal(err)
		}
		afterwards(t, crashed, was, flatWas, ours, kubo)
	}
}

// afterwards is the next start on the disk as it was left.
func afterwards(t *testing.T, crashed string, acked, flatAcked []uint64, ours, kubo *cuts) {
	t.Helper()
	dir := crashed + ".mounted"
	unmount := mounted(t, crashed, dir)
	defer os.Remove(crashed)
	defer unmount()
	s, err := disk.Open(filepath.Join(dir, "ours"), disk.Config{Reserve: 1 << 20})
	if err != nil {
		t.Errorf("open after a power cut: %v", err)
		ours.acked, ours.lost = ours.acked+len(acked), ours.lost+len(acked)
		return
	}
	defer s.Close()
	ours.find(acked, func(b blocks.Block) ([]byte, error) {
		got, err := s.Get(t.Context(), b.Cid())
		if err != nil {
			t.Logf("%s: %v", b.Cid(), err)
		}
		return got.RawData(), err
	})
	if n := unlisted(t, s, true); n > 0 {
		t.Errorf("%d blocks are listed and cannot be read", n)
	}
	theirs, err := openFlat(filepath.Join(dir, "kubo"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	kubo.find(flatAcked, func(b blocks.Block) (got []byte, err error) {
		err = theirs.view(t.Context(), b.Hash(), func(data []byte) error { got = data; return nil })
		return got, err
	})
}
