//go:build linux

package disk_test

import (
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks/blockstest"
	"golang.org/x/sys/unix"
)

// TestStoreFiguresOfTheMachine prints what no store on it can do without: the parts of
// a put that is on the disk and of a read that is checked.
func TestStoreFiguresOfTheMachine(t *testing.T) {
	if os.Getenv("CAIRN_BENCH") == "" {
		t.Skip("SKIP: set CAIRN_BENCH=1 to measure")
	}
	f, err := os.Create(filepath.Join(benchDir(t), "floor"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const large = 8 * mib
	data, off := blockstest.Random(3, large), int64(0)
	if err := unix.Fallocate(int(f.Fd()), 0, 0, 60*(mib+large)); err != nil {
		t.Logf("no space is allocated ahead: %v", err)
	}
	put := func(n int64) func() error {
		return func() error {
			if _, err := f.WriteAt(data[:n], off); err != nil {
				return err
			}
			off += n
			return unix.Fdatasync(int(f.Fd()))
		}
	}
	buf, table := make([]byte, mib), crc32.MakeTable(crc32.Castagnoli)
	for _, part := range []struct {
		what string
		do   func() error
	}{
		{"write of 1 MiB and fdatasync", put(mib)},
		{"write of 8 MiB and fdatasync", put(large)},
		{"pread of 1 MiB, cached", func() error { _, err := f.ReadAt(buf, 70); return err }},
		{"CRC32C of 1 MiB", func() error { crc32.Checksum(buf, table); return nil }},
	} {
		var ds []time.Duration
		for range 60 {
			ds = append(ds, took(t, part.do))
		}
		slices.Sort(ds)
		t.Logf("%s: median of 60 %v, a quarter took less than %v", part.what, ds[30].Round(time.Microsecond), ds[15].Round(time.Microsecond))
	}
}
