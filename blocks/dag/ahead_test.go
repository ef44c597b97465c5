package dag_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/go-cid"
	"pgregory.net/rapid"
)

// made is the blocks of a file and how it ended.
type made struct {
	cids []cid.Cid
	data [][]byte
	err  string
}

func splitOn(r io.Reader, l dag.Layout, hands, most int) (m made) {
	for b, err := range dag.SplitOn(r, l, hands) {
		if err != nil {
			m.err = err.Error()
			continue
		}
		m.cids, m.data = append(m.cids, b.Cid()), append(m.data, b.RawData())
		if len(m.cids) == most {
			break
		}
	}
	return m
}

// However many threads hash, the blocks are those of one, in its order, and so is the end.
func TestHashingAheadChangesNoBlock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom([]dag.Layout{
			tiny, {ChunkSize: 64, MaxLinks: 4, CIDv0: true}, {ChunkSize: 1, MaxLinks: 2}, {ChunkSize: 1, MaxLinks: 2, CIDv0: true},
			{ChunkSize: 34, MaxLinks: 3}, {ChunkSize: 262144, MaxLinks: 174, CIDv0: true}, {},
		}).Draw(t, "layout")
		data := blockstest.Random(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 64*70).Draw(t, "size"))
		if rapid.Bool().Draw(t, "the same over and over") {
			data = bytes.Repeat(data[:min(len(data), 64)], 40)
		}
		broken, most := rapid.Bool().Draw(t, "broken off"), rapid.SampledFrom([]int{-1, -1, 1, 3, 17}).Draw(t, "blocks wanted")
		source := func() io.Reader {
			if broken {
				return io.MultiReader(bytes.NewReader(data), iotest.ErrReader(io.ErrUnexpectedEOF))
			}
			return iotest.HalfReader(bytes.NewReader(data))
		}
		hands := rapid.IntRange(2, 12).Draw(t, "threads")
		want, got := splitOn(source(), l, 1, most), splitOn(source(), l, hands, most)
		if !slices.Equal(got.cids, want.cids) || !slices.EqualFunc(got.data, want.data, bytes.Equal) || got.err != want.err {
			t.Fatalf("on %d threads: %d blocks, %q; on one %d, %q", hands, len(got.cids), got.err, len(want.cids), want.err)
		}
	})
}

// The two profiles at their own sizes, where chunks are of a megabyte.
func TestHashingAheadOfFullChunksChangesNoRoot(t *testing.T) {
	for _, profile := range []string{dag.ProfileV1, dag.ProfileV0} {
		l, err := dag.Profile(profile)
		if err != nil {
			t.Fatal(err)
		}
		data := blockstest.Random(3, 9<<20+7)
		one, more := splitOn(bytes.NewReader(data), l, 1, -1), splitOn(bytes.NewReader(data), l, 3, -1)
		if !slices.Equal(one.cids, more.cids) || len(one.cids) < 10 {
			t.Errorf("%s: %d blocks on one thread, %d on three", profile, len(one.cids), len(more.cids))
		}
	}
}

// A caller that wants no more, a file that breaks off and one that ends leave nothing behind.
func TestSplitLeavesNoGoroutine(t *testing.T) {
	l := dag.Layout{ChunkSize: 1 << 20, MaxLinks: 4} // long enough to hash that some would be seen
	for _, c := range []struct {
		name string
		r    func() io.Reader
		most int
	}{
		{"the caller wants no more", func() io.Reader { return bytes.NewReader(make([]byte, 20<<20)) }, 1},
		{"it breaks off", func() io.Reader {
			return io.MultiReader(bytes.NewReader(make([]byte, 5<<20)), iotest.ErrReader(errors.New("mine")))
		}, -1},
		{"it ends", func() io.Reader { return bytes.NewReader(make([]byte, 20<<20)) }, -1},
	} {
		synctest.Test(t, func(t *testing.T) { // which fails if any is left for ever
			before := runtime.NumGoroutine()
			splitOn(c.r(), l, 8, c.most)
			synctest.Wait()
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%s: %d goroutines more than before", c.name, n-before)
			}
		})
	}
}

// Nothing but memory is waited for, so the end of a context is the reader's to tell.
func TestSplitEndsWhenItsReaderDoes(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	mine := errors.New("mine")
	n := 0
	r := readerFunc(func(p []byte) (int, error) {
		if n++; n == 6 {
			cancel(mine)
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return len(p), nil
	})
	var last error
	for _, err := range dag.SplitOn(r, tiny, 4) {
		last = err
	}
	if !errors.Is(last, mine) {
		t.Errorf("got %v, want the reader's error", last)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// BenchmarkSplit compares one thread with two over the same bytes, in turns, and prints
// the ratio of the medians:
//
//	go test ./blocks/dag -run '^$' -bench Split -benchtime 1x
func BenchmarkSplit(b *testing.B) {
	const total, turns = 256 << 20, 7
	data := blockstest.Random(1, total)
	for _, profile := range []string{dag.ProfileV1, dag.ProfileV0} {
		b.Run(profile, func(b *testing.B) {
			l, err := dag.Profile(profile)
			if err != nil {
				b.Fatal(err)
			}
			took := map[int][]time.Duration{}
			for b.Loop() {
				for range turns {
					for _, hands := range []int{1, 2} {
						began := time.Now()
						for blk, err := range dag.SplitOn(bytes.NewReader(data), l, hands) {
							if err != nil || len(blk.RawData()) > blocks.MaxSize {
								b.Fatal(err)
							}
						}
						took[hands] = append(took[hands], time.Since(began))
					}
				}
			}
			median := func(hands int) float64 {
				slices.Sort(took[hands])
				return took[hands][len(took[hands])/2].Seconds()
			}
			b.ReportMetric(total/median(1)/1e6, "MB/s-one")
			b.ReportMetric(total/median(2)/1e6, "MB/s-two")
			b.ReportMetric(median(1)/median(2), "one/two")
			b.ReportMetric(0, "ns/op")
		})
	}
}
