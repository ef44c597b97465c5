//go:build linux

package disk_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

const (
	mib      = 1 << 20
	benchFor = 5 // alternating runs
)

// rival is a store that is measured.
type rival struct {
	name  string
	put   func(context.Context, ...blocks.Block) error
	view  func(context.Context, mh.Multihash, func([]byte) error) error
	has   func(context.Context, mh.Multihash) (bool, error)
	close func() error
}

var rivals = []string{"flatfs sync", "flatfs no sync", "cairn"}

func openRival(t *testing.T, name, dir string) rival {
	t.Helper()
	if name == "cairn" {
		s, err := disk.Open(dir, disk.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return rival{name, s.Put, s.View, s.Has, s.Close}
	}
	f, err := openFlat(dir, name == "flatfs sync")
	if err != nil {
		t.Fatal(err)
	}
	return rival{name, f.put, f.view, f.has, f.Close}
}

// benchDir is a directory on the disk to be measured: below CAIRN_BENCH_DIR, or
// where tests have theirs.
func benchDir(t *testing.T) string {
	t.Helper()
	base := os.Getenv("CAIRN_BENCH_DIR")
	if base == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(base, "bench-store-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// bench is a benchmark: what a store does in a second, of unit.
type bench struct {
	name, unit string
	want       [2]float64 // times as much as flatfs with and without sync; 0 is no target
	run        func(t *testing.T, r rival) float64
}

func benches() []bench {
	big, small, file := many(160, mib, 1), many(2048, 4096, 2), many(96, mib, 4)
	return []bench{
		{"put 1 MiB, one caller", "MB/s", [2]float64{4, 1}, func(t *testing.T, r rival) float64 {
			return mibs(48, took(t, func() error {
				for _, b := range big[:48] {
					if err := r.put(t.Context(), b); err != nil {
						return err
					}
				}
				return nil
			}))
		}},
		{"put 1 MiB, 16 callers", "MB/s", [2]float64{4, 1}, func(t *testing.T, r rival) float64 {
			return mibs(112, took(t, func() error {
				g, ctx := errgroup.WithContext(t.Context())
				for i := range 16 {
					g.Go(func() error {
						for _, b := range big[48+7*i:][:7] {
							if err := r.put(ctx, b); err != nil {
								return err
							}
						}
						return nil
					})
				}
				return g.Wait()
			}))
		}},
		{"put 1 MiB, as a daemon puts a file", "MB/s", [2]float64{}, func(t *testing.T, r rival) float64 {
			return mibs(len(file), took(t, func() error { // batches of 8 MiB, of which the store has three
				g, ctx := errgroup.WithContext(t.Context())
				g.SetLimit(3)
				for batch := range slices.Chunk(file, 8) {
					g.Go(func() error { return r.put(ctx, batch...) })
				}
				return g.Wait()
			}))
		}},
		{"put 4 KiB, batches of 128", "MB/s", [2]float64{10, 0}, func(t *testing.T, r rival) float64 {
			return mibs(8, took(t, func() error {
				for batch := range slices.Chunk(small, 128) {
					if err := r.put(t.Context(), batch...); err != nil {
						return err
					}
				}
				return nil
			}))
		}},
		{"read 1 MiB at random, cached", "MB/s", [2]float64{1.5, 1.5}, func(t *testing.T, r rival) float64 {
			order := rand.New(rand.NewPCG(3, 3)).Perm(len(big))
			read := func() error {
				for _, i := range order {
					if err := r.view(t.Context(), big[i].Hash(), func(data []byte) error {
						if len(data) != mib {
							return fmt.Errorf("got %d bytes", len(data))
						}
						return nil
					}); err != nil {
						return err
					}
				}
				return nil
			}
			took(t, read) // so that the page cache has all of it, for each
			return mibs(2*len(order), took(t, read)+took(t, read))
		}},
		{"has, absent (want >= 300)", "1000/s", [2]float64{}, func(t *testing.T, r rival) float64 {
			const n = 50_000
			absent := make([]mh.Multihash, n)
			for i := range absent {
				absent[i] = mustSum(fmt.Appendf(nil, "absent %d", i))
			}
			return n / 1000 / took(t, func() error {
				for _, h := range absent {
					if ok, err := r.has(t.Context(), h); ok || err != nil {
						return fmt.Errorf("has: %v, %v", ok, err)
					}
				}
				return nil
			}).Seconds()
		}},
	}
}

func mustSum(data []byte) mh.Multihash {
	h, err := mh.Sum(data, mh.SHA2_256, -1)
	if err != nil {
		panic(err)
	}
	return h
}

func mibs(n int, d time.Duration) float64 { return float64(n) * mib / 1e6 / d.Seconds() }

func took(t *testing.T, f func() error) time.Duration {
	t.Helper()
	start := time.Now()
	if err := f(); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

func median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	return xs[len(xs)/2]
}

// spread is the least and the most, in parts of the median.
func spread(xs []float64) string {
	m := median(xs)
	return fmt.Sprintf("%.2f..%.2f", slices.Min(xs)/m, slices.Max(xs)/m)
}

// TestStoreFigures prints how fast the store is beside the library that Kubo's
// store is made of. Ratios are of runs that follow each other.
func TestStoreFigures(t *testing.T) {
	if os.Getenv("CAIRN_BENCH") == "" {
		t.Skip("SKIP: set CAIRN_BENCH=1 to measure")
	}
	bs := benches()
	got := map[string][][]float64{} // by benchmark, by rival, the runs
	for _, b := range bs {
		got[b.name] = make([][]float64, len(rivals))
	}
	for range benchFor {
		for i, name := range rivals {
			dir := benchDir(t)
			r := openRival(t, name, filepath.Join(dir, "store"))
			for _, b := range bs {
				got[b.name][i] = append(got[b.name][i], b.run(t, r))
			}
			if err := r.close(); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			syscall.Sync() // that the next does not pay for this one
		}
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\t\t%s\t/ flatfs sync\t/ no sync\tspread of the three\n", strings.Join(rivals, "\t"))
	for _, b := range bs {
		runs := got[b.name]
		fmt.Fprintf(w, "%s\t%s", b.name, b.unit)
		for i := range rivals {
			fmt.Fprintf(w, "\t%.1f", median(runs[i]))
		}
		for i, want := range b.want {
			var ratios []float64
			for k, ours := range runs[2] {
				ratios = append(ratios, ours/runs[i][k])
			}
			fmt.Fprintf(w, "\t%.2f%s", median(ratios), verdictOf(median(ratios), want))
		}
		fmt.Fprintf(w, "\t%s, %s, %s\n", spread(runs[0]), spread(runs[1]), spread(runs[2]))
	}
	_ = w.Flush()
	t.Logf("medians of %d alternating runs on %d cores; ratios are medians of the ratios\n%s", benchFor, runtime.NumCPU(), &out)
}

func verdictOf(got, want float64) string {
	switch {
	case want == 0:
		return ""
	case got >= want:
		return fmt.Sprintf(" (>= %.1f)", want)
	}
	return fmt.Sprintf(" (MISSED %.1f)", want)
}

// onDisk is how many bytes the files below dir take, holes and what is set aside
// for a full disk not counted.
func onDisk(t *testing.T, dir string) (n int64) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "reserve" {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		n += fi.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
