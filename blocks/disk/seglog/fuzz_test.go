package seglog_test

import (
	"errors"
	"testing"

	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// FuzzOpenSegment opens a log whose only segment is anything at all. Nothing may
// panic, nothing may be believed whose checksum is wrong, and the log must take
// records.
func FuzzOpenSegment(f *testing.F) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("log", 0o700); err != nil {
		f.Fatal(err)
	}
	l, err := seglog.Open("log", seglog.Config{FS: fs})
	if err == nil {
		err = l.Replay(seglog.Pos{}, 0, func(seglog.Entry) error { return nil })
	}
	if err == nil {
		_, err = l.Append(f.Context(), record(1, 100), record(2, 0), record(3, 1000))
	}
	if err = errors.Join(err, l.Close()); err != nil {
		f.Fatal(err)
	}
	whole, err := fs.UnsafeGetFileDataBuffer(firstSegment)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-5])
	f.Add(whole[64:])
	f.Add([]byte("cairnlog"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		l, got, err := opened(t, holding(t, map[string][]byte{firstSegment: data}), seglog.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for k, e := range got {
			buf := make([]byte, e.Size())
			back, err := l.Read(e.Pos, []byte(k), e.Len, buf)
			if e.Damaged != (err != nil) || err == nil && string(back) != string(e.Data) {
				t.Fatalf("read of what was told gave %v", err)
			}
		}
		pos := appendAll(t, l, record(9, 50))
		readBack(t, l, pos[0], record(9, 50))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
