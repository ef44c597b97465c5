package seglog_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// opened opens the log in dir and replays all of it into an index by key.
func opened(t *testing.T, fs vfs.FS, cfg seglog.Config) (*seglog.Log, map[string]seglog.Entry, error) {
	t.Helper()
	cfg.FS = fs
	if err := fs.MkdirAll("log", 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := seglog.Open("log", cfg)
	if err != nil {
		return nil, nil, err
	}
	got := make(map[string]seglog.Entry)
	err = l.Replay(seglog.Pos{}, 0, func(e seglog.Entry) error {
		e.Key, e.Data = bytes.Clone(e.Key), bytes.Clone(e.Data)
		if old, ok := got[string(e.Key)]; !ok || e.Seq >= old.Seq {
			got[string(e.Key)] = e
		}
		return nil
	})
	return l, got, err
}

func openLog(t *testing.T, fs vfs.FS, cfg seglog.Config) (*seglog.Log, map[string]seglog.Entry) {
	t.Helper()
	l, got, err := opened(t, fs, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l, got
}

func record(i, n int) seglog.Record {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)})
	_, _ = r.Read(data) // never fails
	return seglog.Record{Kind: 1, Key: fmt.Appendf(nil, "key-%d", i), Data: data}
}

func appendAll(t *testing.T, l *seglog.Log, recs ...seglog.Record) []seglog.Pos {
	t.Helper()
	pos, err := l.Append(t.Context(), recs...)
	if err != nil {
		t.Fatal(err)
	}
	if len(pos) != len(recs) {
		t.Fatalf("got %d positions, want %d", len(pos), len(recs))
	}
	return pos
}

func readBack(t *testing.T, l *seglog.Log, p seglog.Pos, want seglog.Record) {
	t.Helper()
	buf := make([]byte, seglog.Size(len(want.Key), len(want.Data)))
	got, err := l.Read(p, want.Key, len(want.Data), buf)
	if err != nil || !bytes.Equal(got, want.Data) {
		t.Fatalf("%s: got %d bytes, %v; want %d", want.Key, len(got), err, len(want.Data))
	}
}

func TestWhatIsAppendedIsReadAndReplayed(t *testing.T) {
	fs := vfs.NewMem()
	var recs []seglog.Record
	for i, n := range []int{0, 1, 100, 32<<10 - 1, 32 << 10, 1 << 20, seglog.MaxData} {
		recs = append(recs, record(i, n))
	}
	cfg := seglog.Config{SegmentSize: 2 << 20}
	l, _ := openLog(t, fs, cfg)
	pos := appendAll(t, l, recs...)
	for i, r := range recs {
		readBack(t, l, pos[i], r)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, got := openLog(t, fs, cfg)
	for _, r := range recs {
		e, ok := got[string(r.Key)]
		if !ok || e.Damaged || !bytes.Equal(e.Data, r.Data) {
			t.Fatalf("%s was not replayed: %v", r.Key, ok)
		}
		readBack(t, l, e.Pos, r)
	}
	more := appendAll(t, l, record(100, 10))
	readBack(t, l, more[0], record(100, 10))
}

func TestLimitsAreRefused(t *testing.T) {
	l, _ := openLog(t, vfs.NewMem(), seglog.Config{})
	for name, r := range map[string]seglog.Record{
		"no key":   {Kind: 1},
		"long key": {Kind: 1, Key: make([]byte, 256)},
		"too long": {Kind: 1, Key: []byte("k"), Data: make([]byte, seglog.MaxData+1)},
	} {
		if _, err := l.Append(t.Context(), r); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func TestApplySeesTheLogInOrder(t *testing.T) {
	var mu sync.Mutex
	var seen []seglog.Pos
	cfg := seglog.Config{SegmentSize: 64 << 10, Apply: func(es []seglog.Entry, end seglog.Pos) error {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range es {
			seen = append(seen, e.Pos)
		}
		if !seen[len(seen)-1].Before(end) {
			return errors.New("the end is before a record")
		}
		return nil
	}}
	l, _ := openLog(t, vfs.NewMem(), cfg)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if _, err := l.Append(t.Context(), record(w*100+i, 500), record(w*100+i, 100)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != 8*50*2 || !slices.IsSortedFunc(seen, func(a, b seglog.Pos) int {
		if a.Before(b) {
			return -1
		}
		return 1
	}) {
		t.Fatalf("%d records, or out of order", len(seen))
	}
}

// contents reads a file of a file system in memory.
func contents(t *testing.T, fs *vfs.MemFS, name string) []byte {
	t.Helper()
	data, err := fs.UnsafeGetFileDataBuffer(name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(data)
}

func holding(t *testing.T, files map[string][]byte) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll("log", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(bytes.Clone(data))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

const firstSegment = "log/seg-00000001.log"

// The file is cut at every byte of its last records, or at that many of them.
func TestATornTailTakesNothingElseWithIt(t *testing.T) {
	fs := vfs.NewMem()
	l, _ := openLog(t, fs, seglog.Config{})
	var recs []seglog.Record
	var pos []seglog.Pos
	for i, n := range []int{3000, 0, 900, 2500, 2500, 1500} {
		recs = append(recs, record(i, n))
		pos = append(pos, appendAll(t, l, recs[i])...)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole := contents(t, fs, firstSegment)
	cuts := 0
	for cut := int(pos[3].Off); cut <= len(whole); cut++ {
		for _, tail := range [][]byte{nil, make([]byte, 700), record(7, 700).Data} {
			if len(tail) > 0 && cut%11 != 0 {
				continue
			}
			cuts++
			torn := holding(t, map[string][]byte{firstSegment: append(slices.Clone(whole[:cut]), tail...)})
			l, got, err := opened(t, torn, seglog.Config{})
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			want := 0
			for i, r := range recs {
				end := int64(pos[i].Off) + seglog.Size(len(r.Key), len(r.Data))
				e, ok := got[string(r.Key)]
				switch {
				case end <= int64(cut):
					want++
					if !ok || e.Damaged || !bytes.Equal(e.Data, r.Data) {
						t.Fatalf("cut at %d: record %d is lost", cut, i)
					}
				case ok:
					t.Fatalf("cut at %d: record %d, which is torn, was given", cut, i)
				}
			}
			again := appendAll(t, l, record(50, 300))
			readBack(t, l, again[0], record(50, 300))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l, got, err = opened(t, torn, seglog.Config{}); err != nil || len(got) != want+1 {
				t.Fatalf("cut at %d: %d records after the second opening, %v; want %d", cut, len(got), err, want+1)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d cuts", cuts)
}

func TestARottenRecordHidesNoOther(t *testing.T) {
	fs := vfs.NewMem()
	l, _ := openLog(t, fs, seglog.Config{})
	var recs []seglog.Record
	var pos []seglog.Pos
	for i := range 6 {
		recs = append(recs, record(i, 400))
		pos = append(pos, appendAll(t, l, recs[i])...)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole := contents(t, fs, firstSegment)
	for at := int(pos[2].Off); at < int(pos[3].Off); at++ {
		rotten := slices.Clone(whole)
		rotten[at] ^= 0x10
		l, got, err := opened(t, holding(t, map[string][]byte{firstSegment: rotten}), seglog.Config{})
		if err != nil {
			t.Fatalf("flip at %d: %v", at, err)
		}
		for i, r := range recs {
			e, ok := got[string(r.Key)]
			switch {
			case i != 2 && (!ok || e.Damaged || !bytes.Equal(e.Data, r.Data)):
				t.Fatalf("flip at %d: record %d is lost", at, i)
			case i == 2 && ok && !e.Damaged:
				t.Fatalf("flip at %d: the rotten record was given", at)
			case i == 2 && !ok && at >= int(pos[2].Off)+50:
				t.Fatalf("flip at %d, in the data: nobody was told", at)
			}
		}
		buf := make([]byte, 4096)
		if _, err := l.Read(pos[2], recs[2].Key, 400, buf); !errors.Is(err, seglog.ErrDamaged) {
			t.Fatalf("flip at %d: read gave %v, want ErrDamaged", at, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Data that holds records of its own must not become records when the header
// before them rots.
func TestRecordsInDataAreData(t *testing.T) {
	other := vfs.NewMem()
	l, _ := openLog(t, other, seglog.Config{})
	appendAll(t, l, seglog.Record{Kind: 2, Key: []byte("forged"), Data: []byte("evil")}, record(1, 10))
	inner := contents(t, other, firstSegment)
	fs := vfs.NewMem()
	l2, _ := openLog(t, fs, seglog.Config{})
	pos := appendAll(t, l2, seglog.Record{Kind: 1, Key: []byte("outer"), Data: inner}, record(2, 10))
	if err := l2.Close(); err != nil {
		t.Fatal(err)
	}
	whole := contents(t, fs, firstSegment)
	whole[pos[0].Off+12] ^= 1 // the length
	_, got := openLog(t, holding(t, map[string][]byte{firstSegment: whole}), seglog.Config{})
	if _, ok := got["forged"]; ok || len(got) != 1 {
		t.Fatalf("got %d records, forged: %v; want the last alone", len(got), ok)
	}
}

// failing is a file system whose writes and syncs of segments fail on demand.
type failing struct {
	vfs.FS
	mu    sync.Mutex
	write error // guarded by mu
	sync  error // guarded by mu
}

func (f *failing) set(write, sync error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.write, f.sync = write, sync
}

func (f *failing) OpenReadWrite(name string, k vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, k, o...)
	if err != nil {
		return nil, err
	}
	return &failingFile{file, f}, nil
}

type failingFile struct {
	vfs.File
	f *failing
}

func (f *failingFile) WriteAt(b []byte, off int64) (int, error) {
	f.f.mu.Lock()
	err := f.f.write
	f.f.mu.Unlock()
	if err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], off) // as much as there was room for
		return n, err
	}
	return f.File.WriteAt(b, off)
}

func (f *failingFile) Sync() error { return f.SyncData() }

func (f *failingFile) SyncData() error {
	f.f.mu.Lock()
	err := f.f.sync
	f.f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.File.SyncData()
}

func TestAfterAFailureNothingIsPromisedUntilItIsMended(t *testing.T) {
	for name, fault := range map[string]error{"write": syscall.ENOSPC, "sync": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			fs := &failing{FS: mem}
			l, _ := openLog(t, fs, seglog.Config{})
			pos := appendAll(t, l, record(1, 5000))
			if name == "write" {
				fs.set(fault, nil)
			} else {
				fs.set(nil, fault)
			}
			for i := range 3 {
				if _, err := l.Append(t.Context(), record(10+i, 5000)); !errors.Is(err, fault) {
					t.Fatalf("got %v, want the fault", err)
				}
			}
			readBack(t, l, pos[0], record(1, 5000))
			fs.set(nil, nil)
			pos = append(pos, appendAll(t, l, record(2, 5000))...)
			readBack(t, l, pos[1], record(2, 5000))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l, got := openLog(t, mem, seglog.Config{})
			if len(got) != 2 {
				t.Fatalf("got %d records, want the two that were promised: what failed is void", len(got))
			}
			for i, p := range pos {
				readBack(t, l, p, record(1+i, 5000))
			}
		})
	}
}

func TestASegmentIsRemovedWhenItsReadersAreDone(t *testing.T) {
	fs := vfs.NewMem()
	l, _ := openLog(t, fs, seglog.Config{SegmentSize: 4096})
	var pos []seglog.Pos
	for i := range 4 {
		pos = append(pos, appendAll(t, l, record(i, 3000))...)
	}
	if err := l.Remove(t.Context(), l.Head()); err == nil {
		t.Error("the head was removed")
	}
	if err := l.Remove(t.Context(), pos[0].Seg); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(pos[0], record(0, 0).Key, 3000, make([]byte, 4096)); !errors.Is(err, seglog.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
	readBack(t, l, pos[1], record(1, 3000))
	if names, err := fs.List("log"); err != nil || len(names) != 3 {
		t.Errorf("got %v, %v; want 3 segments", names, err)
	}
}
