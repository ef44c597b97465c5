package crashfs_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/cairn-network/cairn/blocks/disk/crashfs"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tinyLog appends 40 records to a log, each with its sum, and answers how much
// was on the tape when each had been acknowledged.
func tinyLog(t *testing.T, f vfs.FS, d *crashfs.Disk) (acked []int) {
	t.Helper()
	h := must(f.Create("/log", plain))
	syncDir(t, f, "/")
	for i := range 40 {
		rec := record(i)
		must(h.Write(rec[:8]))
		must(h.Write(rec[8:]))
		sync(t, h)
		acked = append(acked, d.Len())
	}
	return acked
}

func record(i int) []byte {
	body := make([]byte, 300+700*(i%3))
	for j := range body {
		body[j] = byte(i + 1)
	}
	rec := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	rec = binary.LittleEndian.AppendUint32(rec, crc32.ChecksumIEEE(body))
	return append(rec, body...)
}

// intact is how many records the log begins with that are as they were written.
func intact(t *testing.T, f vfs.FS) (n int) {
	t.Helper()
	data := read(t, f, "/log")
	for len(data) >= 8 {
		size, sum := binary.LittleEndian.Uint32(data), binary.LittleEndian.Uint32(data[4:])
		if int(size) > len(data)-8 || size == 0 || crc32.ChecksumIEEE(data[8:8+size]) != sum {
			break
		}
		data = data[8+size:]
		n++
	}
	return n
}

func TestALogThatSyncsLosesNothingAndOneThatDoesNotLoses(t *testing.T) {
	for name, fail := range map[string]func(string, string, int) error{"sync": nil, "control: no sync": crashfs.NoSync} {
		d := crashfs.New()
		acked := tinyLog(t, &crashfs.Faulty{FS: d, Fail: fail}, d)
		points, lost := 0, 0
		for c, disk := range d.Crashes(7, append(crashfs.Models(), crashfs.Reorder, crashfs.Tear512)...) {
			points++
			promised := 0
			for _, at := range acked {
				if at <= c.At {
					promised++
				}
			}
			if intact(t, disk) < promised {
				lost++
			}
		}
		t.Logf("%s: %d points, %d with losses", name, points, lost)
		if points < 300 || (lost > 0) != (fail != nil) {
			t.Errorf("%s: %d of %d crashes lost something", name, lost, points)
		}
	}
}

// TestPebbleOutlivesEveryCrash says that the models ask nothing of a store that
// a database known to be sound does not keep; without sync it loses.
func TestPebbleOutlivesEveryCrash(t *testing.T) {
	for name, fail := range map[string]func(string, string, int) error{"sync": nil, "control: no sync": crashfs.NoSync} {
		d := crashfs.New()
		if err := d.MkdirAll("/db", 0o700); err != nil {
			t.Fatal(err)
		}
		syncDir(t, d, "/")
		opts := func(f vfs.FS) *pebble.Options {
			return &pebble.Options{FS: f, MemTableSize: 32 << 10, Logger: quiet{}}
		}
		db := must(pebble.Open("/db", opts(&crashfs.Faulty{FS: d, Fail: fail})))
		var acked []int
		for i := range 60 {
			if err := db.Set(fmt.Appendf(nil, "%03d", i), record(i), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			acked = append(acked, d.Len())
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		points, lost := 0, 0
		for c, disk := range d.Crashes(7, crashfs.Models()...) {
			points++
			if !pebbleHas(opts(disk), acked, c.At) {
				lost++
				if fail == nil {
					t.Errorf("%v: lost", c)
				}
			}
		}
		t.Logf("%s: %d points, %d with losses", name, points, lost)
		if fail != nil && lost == 0 {
			t.Errorf("%s: nothing was lost", name)
		}
	}
}

func pebbleHas(o *pebble.Options, acked []int, at int) bool {
	db, err := pebble.Open("/db", o)
	if err != nil {
		return false
	}
	defer db.Close()
	for i, n := range acked {
		if n > at {
			break
		}
		v, done, err := db.Get(fmt.Appendf(nil, "%03d", i))
		if err != nil || string(v) != string(record(i)) {
			return false
		}
		_ = done.Close()
	}
	return true
}

type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
