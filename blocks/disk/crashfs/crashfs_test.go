package crashfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/cairn-network/cairn/blocks/disk/crashfs"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const plain = vfs.WriteCategoryUnspecified

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// write makes a file of data, and syncs what is asked.
func write(t *testing.T, f vfs.FS, name string, data []byte, file, dir bool) {
	t.Helper()
	h := must(f.Create(name, plain))
	must(h.Write(data))
	if file {
		sync(t, h)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if dir {
		syncDir(t, f, f.PathDir(name))
	}
}

func sync(t *testing.T, h vfs.File) {
	t.Helper()
	if err := h.Sync(); err != nil {
		t.Fatal(err)
	}
}

func syncDir(t *testing.T, f vfs.FS, dir string) {
	t.Helper()
	h := must(f.OpenDir(dir))
	defer h.Close()
	sync(t, h)
}

func read(t *testing.T, f vfs.FS, name string) []byte {
	t.Helper()
	h, err := f.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	defer h.Close()
	return must(io.ReadAll(h))
}

// last gives what a crash now may leave, by model.
func last(d *crashfs.Disk, models ...crashfs.Model) map[crashfs.Model][]*crashfs.Disk {
	out := map[crashfs.Model][]*crashfs.Disk{}
	for c, disk := range d.Crashes(1, models...) {
		if c.At == d.Len() {
			out[c.Model] = append(out[c.Model], disk)
		}
	}
	return out
}

func TestOnlyWhatWasSyncedUnderASyncedNameSurvivesTheWorst(t *testing.T) {
	for name, c := range map[string]struct {
		file, dir bool
		want      string
	}{
		"nothing synced":        {false, false, "gone"},
		"name not synced":       {true, false, "gone"},
		"bytes not synced":      {false, true, "empty"},
		"bytes and name synced": {true, true, "whole"},
	} {
		d := crashfs.New()
		write(t, d, "/f", []byte("hello"), c.file, c.dir)
		after := last(d, crashfs.Keep, crashfs.Drop)
		if got := read(t, after[crashfs.Keep][0], "/f"); string(got) != "hello" {
			t.Errorf("%s: kept %q, want all", name, got)
		}
		worst, ok := after[crashfs.Drop]
		if !ok { // the same as what was kept
			worst = after[crashfs.Keep]
		}
		got := "gone"
		if _, err := worst[0].Stat("/f"); err == nil {
			got = map[int]string{0: "empty", 5: "whole"}[len(read(t, worst[0], "/f"))]
		}
		if got != c.want {
			t.Errorf("%s: got it %s, want %s", name, got, c.want)
		}
	}
}

func TestARenameHappensWholeOrNotAndOnlyItsDirectoryMakesItLast(t *testing.T) {
	d := crashfs.New()
	if err := d.MkdirAll("/a/b", 0o700); err != nil {
		t.Fatal(err)
	}
	syncDir(t, d, "/")
	syncDir(t, d, "/a")
	write(t, d, "/a/f", []byte("new"), true, true)
	write(t, d, "/a/b/f", []byte("old"), true, true)
	if err := d.Rename("/a/f", "/a/b/f"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	many := make([]crashfs.Model, 30)
	for i := range many {
		many[i] = crashfs.Reorder
	}
	for _, disks := range last(d, append(many, crashfs.Drop, crashfs.Keep)...) {
		for _, disk := range disks {
			seen[string(read(t, disk, "/a/f"))+" "+string(read(t, disk, "/a/b/f"))] = true
		}
	}
	if len(seen) != 2 || !seen["new old"] || !seen[" new"] {
		t.Errorf("got outcomes %v, want before and after", seen)
	}
	syncDir(t, d, "/a/b")
	if after := last(d, crashfs.Drop, crashfs.Keep); string(read(t, after[crashfs.Drop][0], "/a/b/f")) != "new" || len(after) != 1 {
		t.Error("a rename whose directory was synced is not there")
	}
}

func TestATornWriteLosesWholeSectorsOnly(t *testing.T) {
	for model, sector := range map[crashfs.Model]int{crashfs.Tear512: 512, crashfs.Tear4K: 4096} {
		d := crashfs.New()
		write(t, d, "/f", bytes.Repeat([]byte{1}, 700), true, true)
		h := must(d.OpenReadWrite("/f", plain))
		must(h.WriteAt(bytes.Repeat([]byte{2}, 20_000), 300))
		many := make([]crashfs.Model, 40)
		for i := range many {
			many[i] = model
		}
		short, lost := 0, 0
		for _, disk := range last(d, many...)[model] {
			got := read(t, disk, "/f")
			torn := false
			for i := 0; i < 20_300; i++ {
				was, is := byte(0), byte(0) // zero: beyond the end
				if i < 700 {
					was = 1
				}
				if i < len(got) {
					is = got[i]
				}
				if i < 300 && is != 1 {
					t.Fatalf("%v: byte %d before the write changed", model, i)
				}
				if i >= 300 && is != 2 {
					torn = true
					if is != was {
						t.Fatalf("%v: byte %d is %d", model, i, is)
					}
				}
				if i > 300 && i < 20_299 && i%sector != 0 && i != 700 && i < len(got)-1 && got[i] != got[i-1] {
					t.Fatalf("%v: torn within a sector, at %d", model, i)
				}
			}
			if torn {
				lost++
			}
			if len(got) < 20_300 {
				short++
			}
		}
		if lost != len(many) || short == 0 || short == len(many) {
			t.Errorf("%v: %d of %d torn, %d of them short", model, lost, len(many), short)
		}
	}
}

func TestAllBeforeTheCrashIsThereAndNothingAfter(t *testing.T) {
	d := crashfs.New()
	h := must(d.Create("/f", plain))
	for i := range 10 {
		must(h.Write([]byte{byte(i)}))
	}
	points := 0
	for c, disk := range d.Crashes(1, crashfs.Keep) {
		if got := len(read(t, disk, "/f")); got != max(c.At-1, 0) {
			t.Errorf("%v: got %d bytes", c, got)
		}
		points++
	}
	if points != 12 { // nothing, the name, ten writes
		t.Errorf("got %d points, want 12", points)
	}
}

func TestTheDisksOfACrashAreApart(t *testing.T) {
	d := crashfs.New()
	write(t, d, "/f", make([]byte, 100), true, true)
	for c, disk := range d.Crashes(1, crashfs.Models()...) {
		if c.At < d.Len() {
			continue
		}
		h := must(disk.OpenReadWrite("/f", plain))
		must(h.WriteAt([]byte{9}, 50))
	}
	for _, disks := range last(d, crashfs.Keep) {
		if read(t, disks[0], "/f")[50] != 0 || read(t, d, "/f")[50] != 0 {
			t.Error("a write to one disk is seen on another")
		}
	}
}

func TestAFullDiskTakesWhatFitsAndWhatAHoleGivesBack(t *testing.T) {
	d := crashfs.New()
	d.Resize(10 * 4096)
	h := must(d.Create("/f", plain))
	n, err := h.Write(make([]byte, 11*4096))
	if n != 10*4096 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %d, %v; want all that fits and ENOSPC", n, err)
	}
	if err := h.(interface{ PunchHole(off, n int64) error }).PunchHole(100, 3*4096); err != nil {
		t.Fatal(err)
	}
	if got, want := d.Used(), int64(8*4096); got != want { // the pages that lie in it whole
		t.Errorf("got %d bytes used, want %d", got, want)
	}
	g := must(d.Create("/g", plain))
	if n, err := g.Write(make([]byte, 3*4096)); n != 2*4096 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %d, %v; want two pages and ENOSPC", n, err)
	}
	if err := d.Remove("/f"); err != nil {
		t.Fatal(err)
	}
	if got := d.Used(); got != 2*4096 {
		t.Errorf("got %d bytes used, want two pages", got)
	}
}

func TestFaultsComeWhenTheyAreDue(t *testing.T) {
	d := crashfs.New()
	full := &crashfs.Faulty{FS: d, Fail: crashfs.FullAfter(10)}
	h := must(full.Create("/full", plain))
	if n, err := h.Write(make([]byte, 10)); n != 10 || err != nil {
		t.Errorf("the first ten bytes: %d, %v", n, err)
	}
	if n, err := h.Write(make([]byte, 8)); n != 4 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %d, %v; want half and ENOSPC", n, err)
	}
	write(t, d, "/f", []byte("hello"), true, true)
	broken := &crashfs.Faulty{FS: d, Fail: crashfs.Nth("read", 2, syscall.EIO)}
	g := must(broken.Open("/f"))
	for i, want := range []error{nil, syscall.EIO, nil} {
		if _, err := g.ReadAt(make([]byte, 5), 0); !errors.Is(err, want) {
			t.Errorf("read %d: got %v, want %v", i+1, err, want)
		}
	}
	ro := &crashfs.Faulty{FS: d, Fail: crashfs.ReadOnly}
	if got := read(t, ro, "/f"); string(got) != "hello" {
		t.Errorf("read only: got %q", got)
	}
	_, err := ro.Create("/new", plain)
	for what, err := range map[string]error{"create": err, "remove": ro.Remove("/f"), "mkdir": ro.MkdirAll("/d", 0o700), "rename": ro.Rename("/f", "/g")} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: got %v, want EROFS", what, err)
		}
	}
}

func TestAFailedSyncLosesWhatItWasToKeep(t *testing.T) {
	d := crashfs.New()
	write(t, d, "/f", []byte("old"), true, true)
	f := &crashfs.Faulty{FS: d, Fail: crashfs.FailSync(d, 1)}
	h := must(f.OpenReadWrite("/f", plain))
	must(h.WriteAt([]byte("new"), 0))
	if err := h.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v, want EIO", err)
	}
	sync(t, h) // and the next one says that all is well
	if got := read(t, d, "/f"); string(got) != "old" {
		t.Errorf("got %q, want what was synced before", got)
	}
}
